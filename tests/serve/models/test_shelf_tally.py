"""What a shared host counts is on the page of metrics, and how much memory its models take."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

from monitors.blocks import Snapshot
from monitors.exporter import Exporter
from serve.models.in_hand import InHand
from serve.models.keeper import Keeper
from serve.models.shelf_tally import ShelfTally
from tests.serve.models.shelved import Constant
from tests.serve.waiting import until

_SHOWN = ("weir_shelf", "weir_task")


class ToExporter:
    """Hands snapshots to an exporter of this process."""

    def __init__(self) -> None:
        # By a clock that stands no page is slow to make, and none is given twice.
        self.exporter = Exporter(1.0, clock=lambda: 0.0)

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Fold it."""
        self.exporter.fold(snapshot)
        return True

    def page(self) -> dict[str, str]:
        """The samples of shared hosts, by name and labels."""
        text = self.exporter.page("*/*")[0].decode()
        lines = (line.rpartition(" ") for line in text.splitlines())
        return {name: value for name, _, value in lines if name.startswith(_SHOWN)}


async def test_loads_and_departures_are_on_the_page(tmp_path: Path) -> None:
    """Nothing that has not happened is missing; what has is counted."""
    way = ToExporter()
    tally = ShelfTally("shelf-0-1", way)
    keeper = Keeper(2**20, 5.0, tally, InHand(tmp_path / "hand"))
    way.send_snapshot(tally.snapshot(keeper))
    assert way.page()["weir_shelf_unloads_total"] == "0.0"
    assert way.page()['weir_task_failures_total{weir_task_name="follow"}'] == "0.0"
    for number in (1, 2):
        keeper.know(("m", number), lambda: (Constant(1.0), 2**20))
        await keeper.load(("m", number))

    tally.failed()
    way.send_snapshot(tally.snapshot(keeper))
    keeper.close()

    page = way.page()
    assert page['weir_shelf_load_duration_seconds_count{error_type=""}'] == "2.0"
    assert page["weir_shelf_unloads_total"] == "1.0"
    assert page['weir_task_failures_total{weir_task_name="follow"}'] == "1.0"
    assert page["weir_shelf_models"] == "1.0"
    assert float(page["weir_shelf_memory_bytes"]) >= 2**20


async def test_counts_are_sent_from_a_thread(tmp_path: Path) -> None:
    """Requests on the loop do not wait for the way to the exporter, again and again."""
    threads: list[int] = []

    class Slow(ToExporter):
        def send_snapshot(self, snapshot: Snapshot) -> bool:
            threads.append(threading.get_ident())
            return super().send_snapshot(snapshot)

    tally = ShelfTally("shelf-0-1", Slow())
    keeper = Keeper(2**20, 5.0, tally, InHand(tmp_path / "hand"))
    telling = asyncio.ensure_future(tally.tell(keeper, 0.001))
    await until(lambda: len(threads) > 1, "two snapshots")
    telling.cancel()
    keeper.close()

    assert threading.get_ident() not in threads


_ALONE = """
import numpy as np
from serve.models.memory import give_back, heap_bytes
before = heap_bytes()
block = np.ones(2**22, np.uint8)
during = heap_bytes()
del block
give_back()
print(during - before, heap_bytes() - before)
"""


def test_the_heap_is_measured_in_bytes() -> None:
    """What is allocated shows, within what numpy and Python need beside it; then it is gone.

    In a process of its own: what other tests left behind may be freed at any moment.
    """
    said = subprocess.run(
        [sys.executable, "-c", _ALONE], capture_output=True, text=True, check=True
    )
    taken, left = (int(number) for number in said.stdout.split())

    assert 2**22 <= taken < 2**22 + 2**20
    assert left < 2**20
