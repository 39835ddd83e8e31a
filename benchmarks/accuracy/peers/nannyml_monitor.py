"""NannyML: its univariate calculator with its default methods and thresholds, chunk by chunk."""

from __future__ import annotations

import pandas as pd
from nannyml import UnivariateDriftCalculator
from replaying import Looks, Rows, Task, main


def watch(task: Task, reference: Rows, live: Rows) -> Looks:
    """A column alarms when one of its methods has an alert in a chunk."""
    names = [f"f{column}" for column in range(reference.shape[1])]
    categorical = [names[column] for column in task.categorical]

    def frame(rows: Rows) -> pd.DataFrame:
        made = pd.DataFrame(rows, columns=names)
        for name in categorical:
            made[name] = made[name].astype(int).astype(str)
        return made

    calculator = UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=categorical,
        chunk_size=task.settings["window"],
    ).fit(frame(reference))
    yield 0, ()
    results = calculator.calculate(frame(live)).filter(period="analysis").to_df()
    for _, chunk in results.iterrows():
        end = int(chunk["chunk", "chunk", "end_index"]) + 1
        yield end, [at for at, name in enumerate(names) if chunk[name, "jensen_shannon", "alert"]]


if __name__ == "__main__":
    main(watch)
