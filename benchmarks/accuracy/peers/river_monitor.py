"""river: one of its drift detectors as it comes, one for each column. It has no reference."""

from __future__ import annotations

from replaying import Looks, Rows, Task, main
from river import drift

DETECTORS = {
    "ADWIN": lambda _: drift.ADWIN(),
    "PageHinkley": lambda _: drift.PageHinkley(),
    "KSWIN": lambda column: drift.KSWIN(seed=column),
}


def watch(task: Task, reference: Rows, live: Rows) -> Looks:
    """A column alarms at the row at which its detector says that it has drifted."""
    make = DETECTORS[task.settings["detector"]]
    detectors = [make(column) for column in range(reference.shape[1])]
    yield 0, ()
    for row, values in enumerate(live.tolist(), start=1):
        for detector, value in zip(detectors, values, strict=True):
            detector.update(value)
        yield row, [at for at, detector in enumerate(detectors) if detector.drift_detected]


if __name__ == "__main__":
    main(watch)
