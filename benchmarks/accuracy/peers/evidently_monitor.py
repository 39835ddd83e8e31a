"""Evidently: its preset for data drift with its own choice of tests, a report for each window."""

from __future__ import annotations

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from replaying import Looks, Rows, Task, main, windows


def watch(task: Task, reference: Rows, live: Rows) -> Looks:
    """A column alarms when the report says that it has drifted."""
    names = [f"f{column}" for column in range(reference.shape[1])]
    categorical = [names[column] for column in task.categorical]
    definition = DataDefinition(
        numerical_columns=[name for name in names if name not in categorical],
        categorical_columns=categorical,
    )

    def dataset(rows: Rows) -> Dataset:
        frame = pd.DataFrame(rows, columns=names)
        for name in categorical:
            frame[name] = frame[name].astype(int).astype(str)
        return Dataset.from_pandas(frame, data_definition=definition)

    compared = dataset(reference)
    report = Report([DataDriftPreset()], include_tests=True)
    yield 0, ()
    for end, rows in windows(live, task.settings["window"] or len(live)):
        yield end, drifted(report.run(dataset(rows), compared), names)


def drifted(snapshot, names: list[str]) -> list[int]:
    """The columns whose own test failed."""
    failed = []
    for test in snapshot.tests_results:
        column = test.metric_config.params.get("column")
        if column is not None and test.status.value == "FAIL":
            failed.append(names.index(column))
    return failed


if __name__ == "__main__":
    main(watch)
