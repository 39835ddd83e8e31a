"""alibi-detect: its detector for tables by the window, or its online Cramer-von Mises detector."""

from __future__ import annotations

import warnings

import numpy as np
from alibi_detect.cd import CVMDriftOnline, TabularDrift
from replaying import Looks, Rows, Task, main, windows


def watch(task: Task, reference: Rows, live: Rows) -> Looks:
    """By the window where there is one."""
    if task.settings["window"] is None:
        return by_the_row(task, reference, live)
    return by_the_window(task, reference, live)


def by_the_window(task: Task, reference: Rows, live: Rows) -> Looks:
    """Kolmogorov-Smirnov and chi-square tests of all columns at 5 % together (Bonferroni)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = TabularDrift(reference, categories_per_feature=dict.fromkeys(task.categorical))
    yield 0, ()
    for end, rows in windows(live, task.settings["window"]):
        said = detector.predict(rows)["data"]
        yield end, np.flatnonzero(said["p_val"] < said["threshold"]).tolist()


class Online(CVMDriftOnline):
    """The detector with thresholds that are simulated once: they do not depend on the data."""

    _simulated = None

    def _configure_thresholds(self) -> None:
        if Online._simulated is None:
            super()._configure_thresholds()
            Online._simulated = self.thresholds
        self.thresholds = Online._simulated


def by_the_row(task: Task, reference: Rows, live: Rows) -> Looks:
    """An expected run of `ert` rows between false alarms, over all columns together."""
    detector = Online(
        reference.astype(np.float64),
        ert=task.settings["ert"],
        window_sizes=task.settings["windows"],
        n_bootstraps=task.settings["bootstraps"],
        verbose=False,
    )
    yield 0, ()
    for row, values in enumerate(live.astype(np.float64), start=1):
        said = detector.predict(values)["data"]
        if said["is_drift"]:
            largest = np.nanmax(said["test_stat"], axis=0)
            yield row, np.flatnonzero(largest > said["threshold"]).tolist()
        else:
            yield row, []


if __name__ == "__main__":
    main(watch)
