"""Weir as the other libraries are run, to be timed and weighed: `weir_monitor.py FOLDER`."""

from __future__ import annotations

from benchmarks.accuracy.peers.replaying import Looks, Rows, Task, main, windows
from benchmarks.accuracy.streams import FEATURES
from benchmarks.accuracy.weir import BOTH, DRIFT, Watch, name, profile

_BLOCK_ROWS = 500


def watch(task: Task, reference: Rows, live: Rows) -> Looks:
    """Rows come in blocks, as the recorder ships them; a look comes after each window."""
    panel = Watch(profile(reference, task.categorical), task.categorical, 0)
    columns = {(DRIFT, name(column)): column for column in range(FEATURES)}
    yield 0, ()
    for end, rows in windows(live, task.settings["window"]):
        for at in range(0, len(rows), _BLOCK_ROWS):
            panel.fold(rows[at : at + _BLOCK_ROWS])
        yield end, [columns[each] for each in panel.look()[BOTH] if each in columns]


if __name__ == "__main__":
    main(watch)
