"""The recorder never waits, and every row it chose is shipped or counted as dropped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from configs.settings import Monitors
from configs.settings import Recorder as RecorderSettings
from monitors.blocks import SampleBlock, Snapshot
from monitors.panel import Panel
from monitors.signal import Verdict
from monitors.telemetry.names import INFERENCE_DURATION, REQUESTS_SHED, SNAPSHOTS_FAILED
from registry.card import Card, Feature, Score, Task
from registry.records import Role
from registry.signature import Signature
from serve.recorder.dial import DRAWS, Capacity
from serve.recorder.recorder import Recorder
from serve.recorder.samples import Origin
from serve.recorder.shipper import Shipper
from tests.serve.recorder.sampling import Memory, arm, dropped, keep, recorder, sample, shipped
from tests.serve.versions import MODEL, REGRESSOR
from tests.serve.waiting import wait_until


def shipper(of: Recorder, transport: Memory, period_s: float = 1000.0) -> Shipper:
    """A shipper without gauges."""
    return Shipper(of, transport, "gateway-7", period_s, dict)


def test_answers_and_errors_are_counted_apart() -> None:
    """Durations are kept by version, role and code of the error."""
    records = recorder()
    stable = arm(records)
    stable.answered(0.002)
    stable.answered(0.002)
    stable.failed(0.1, "bad_tensor")

    found = records.counts.snapshot("me", 0).histograms

    series = {
        error: found[INFERENCE_DURATION.name, (MODEL, "1", "stable", error)]
        for error in ("", "bad_tensor")
    }
    assert {error: sum(counts.buckets) for error, counts in series.items()} == {
        "": 2,
        "bad_tensor": 1,
    }
    assert series[""].total == 0.004


def test_the_draw_alone_decides() -> None:
    """A prediction is kept when its draw is below the dial's limit, in whatever role."""
    records = recorder(rows_per_s=100.0)
    records.dial.turn(10_000, 1.0)
    stable = arm(records)
    limit = records.dial.limit

    for number, draw in enumerate([0, limit - 1, limit, DRAWS - 1]):
        keep(stable, number, draw)

    samples, rows = records.take()
    assert [int(kept.prediction_id, 16) for kept in samples] == [0, 1]
    assert rows == 2


def test_a_recorder_that_is_off_keeps_no_rows() -> None:
    """Without sampling the counts go on."""
    records = Recorder(RecorderSettings(enabled=False))
    keep(arm(records), 1, 0)

    assert records.take() == ([], 0)


def test_a_full_buffer_drops_and_counts() -> None:
    """Rows beyond the buffer are lost and counted; what is in it stays; room comes back."""
    records = recorder(buffer_max_rows=16)
    stable = arm(records)
    keep(stable, 1, 0, rows=10)
    keep(stable, 2, 0, rows=7)
    keep(stable, 3, 0, rows=6)

    assert dropped(records.counts.snapshot("me", 0)) == {"buffer full": 7}
    samples, rows = records.take()
    assert ([int(kept.prediction_id, 16) for kept in samples], rows) == ([1, 3], 16)
    keep(stable, 4, 0, rows=16)
    assert records.take()[1] == 16


def test_a_shipment() -> None:
    """Blocks carry the rate at which their rows were kept; the snapshot counts them."""
    records, transport = recorder(), Memory()
    ships = shipper(records, transport)
    for number in range(5):
        keep(arm(records), number, 0)

    ships.ship(1.0)
    ships.ship(1.0)

    (block,) = transport.blocks
    assert (block.rows, block.rate, block.source) == (5, 1.0, "gateway-7")
    assert [snapshot.sequence for snapshot in transport.snapshots] == [1, 2]
    assert shipped(transport.snapshots[-1]) == 5


def test_the_rate_of_a_block_is_that_of_its_rows() -> None:
    """A burst lowers the rate for the rows to come, not for those that were kept before."""
    records, transport = recorder(rows_per_s=10.0), Memory()
    ships = shipper(records, transport)
    for number in range(100):
        keep(arm(records), number, 0)
    ships.ship(1.0)
    keep(arm(records), 100, 0)
    ships.ship(1.0)

    assert [block.rate for block in transport.blocks] == [1.0, 1 / 16]


def test_a_flood_within_one_turn_is_kept_at_one_rate() -> None:
    """Few rows are buffered, and those that are shipped are all that the block's rate keeps."""
    records, transport = recorder(buffer_max_rows=8192), Memory()
    stable = arm(records)
    draws = np.random.default_rng(0).integers(DRAWS, size=50_000).tolist()
    for draw in draws:
        keep(stable, draw, draw)
    shipper(records, transport).ship(0.5)

    (block,) = transport.blocks
    kept = [draw for draw in draws if draw < block.rate * DRAWS]
    assert block.prediction_ids.tolist() == [f"{draw:032x}".encode() for draw in kept]
    assert 150 <= block.rows <= 600
    assert not dropped(transport.snapshots[0])


def test_all_versions_go_in_one_shipment() -> None:
    """However many versions and roles there are, one message carries their blocks."""

    class Counting(Memory):
        """Counts messages."""

        messages = 0

        def send_blocks(self, blocks: Sequence[SampleBlock]) -> bool:
            """Keep blocks, and count the message."""
            self.messages += 1
            return super().send_blocks(blocks)

    records, transport = recorder(), Counting()
    ships = shipper(records, transport)
    for version in range(1, 6):
        keep(records.arm(Origin(MODEL, version, Role.STABLE, REGRESSOR)), version, 0)
    ships.ship(1.0)
    ships.ship(1.0)

    assert len(transport.blocks) == 5
    assert transport.messages == 1


def test_the_dial_follows_what_the_monitors_can_take() -> None:
    """Room for 2 rows a second of 10: the next blocks say an eighth."""
    records, transport = recorder(), Memory()
    ships = shipper(records, transport)
    transport.room = Capacity(rows_per_s=2.0)
    for number in range(10):
        keep(arm(records), number, 0)
    ships.ship(1.0)
    keep(arm(records), 11, 0)
    ships.ship(1.0)

    assert [block.rate for block in transport.blocks] == [1.0, 1 / 8]


def test_every_way_to_lose_rows_is_counted() -> None:
    """A refused block, rows lost on the way, shapes that differ and snapshots that failed."""
    records, transport = recorder(), Memory()
    ships = shipper(records, transport)
    transport.refuses = True
    keep(arm(records), 1, 0, rows=3)
    ships.ship(1.0)
    transport.refuses = False
    transport.lost = 4
    records.keep(0, sample(2, 2))
    records.keep(0, sample(3, 5, width=4))
    ships.ship(1.0)

    (snapshot,) = transport.snapshots
    assert dropped(snapshot) == {"monitor behind": 3, "shapes differ": 7, "monitor failed": 4}
    assert shipped(snapshot) == 0
    assert snapshot.counters[SNAPSHOTS_FAILED.name, ()] == 1


def test_gauges_are_read_when_they_are_sent() -> None:
    """Each snapshot has the gauges of its moment."""
    values = iter([1.0, 2.0])
    transport = Memory()
    ships = Shipper(recorder(), transport, "me", 1000.0, lambda: {("a", ()): next(values)})
    ships.ship(1.0)
    ships.ship(1.0)

    assert [snapshot.gauges["a", ()] for snapshot in transport.snapshots] == [1.0, 2.0]


def test_offered_is_shipped_plus_dropped() -> None:
    """While one thread records as fast as it can and another ships, no row is lost uncounted."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    records, transport = recorder(buffer_max_rows=50), Memory()
    ships = shipper(records, transport, period_s=0.001)
    stable = arm(records)
    ships.start()
    try:
        offered = 0
        for number in range(10_000):
            rows = number % 3 + 1
            offered += rows
            keep(stable, number, 0, rows)
            transport.refuses = number % 1000 > 900
    finally:
        transport.refuses = False
        ships.stop(30.0)
        sys.setswitchinterval(before)

    last = transport.snapshots[-1]
    assert shipped(last) + sum(dropped(last).values()) == offered
    assert sum(block.rows for block in transport.blocks) == shipped(last)
    ids = np.concatenate(transport.ids())
    numbers, counts = np.unique(ids, return_counts=True)
    assert [int(number, 16) % 3 + 1 for number in numbers] == counts.tolist()


def test_it_ships_by_itself_and_once_more_at_the_end() -> None:
    """The thread sends every period, and what came last when it is stopped."""
    records, transport = recorder(), Memory()
    ships = shipper(records, transport, period_s=0.01)
    ships.start()
    wait_until(lambda: len(transport.snapshots) >= 3, "three periods")
    keep(arm(records), 1, 0)

    ships.stop(30.0)

    assert sum(block.rows for block in transport.blocks) == 1
    assert shipped(transport.snapshots[-1]) == 1


def test_an_empty_signature_of_outputs_is_no_matter() -> None:
    """A block of a model whose outputs are not sampled has no output columns."""
    records, transport = recorder(), Memory()
    silent = Signature(inputs=arm(records).origin.signature.inputs, outputs=())
    keep(arm(records, silent), 1, 0)
    shipper(records, transport).ship(1.0)

    assert transport.blocks[0].outputs == {}


def test_one_failed_shipment_does_not_end_the_others() -> None:
    """A transport that raises is counted, and the next shipment is sent."""

    class Stumbling(Memory):
        """Raises on the first snapshot."""

        stumbled = False

        def send_snapshot(self, snapshot: Snapshot) -> bool:
            """Fail once in a way that nobody foresaw."""
            if not self.stumbled:
                self.stumbled = True
                raise ZeroDivisionError
            return super().send_snapshot(snapshot)

    records, transport = recorder(), Stumbling()
    ship = shipper(records, transport, period_s=0.01)

    ship.start()
    wait_until(lambda: len(transport.snapshots) > 1, "a shipment after the failed one")
    ship.stop(30.0)

    assert transport.snapshots[-1].counters[SNAPSHOTS_FAILED.name, ()] >= 1


def test_a_refusal_lowers_the_rate_of_the_next_block_only() -> None:
    """A refused request is counted, and halves the rate once; blocks say the rate they had."""
    records = recorder()
    transport = Memory()
    ships = shipper(records, transport)
    stable = arm(records)

    records.refused(MODEL)
    for number in range(3):
        keep(stable, number, 0)
        ships.ship(1.0)

    assert [block.rate for block in transport.blocks] == [1.0, 0.5, 1.0]
    assert records.counts.snapshot("me", 0).counters[REQUESTS_SHED.name, (MODEL,)] == 1


def test_what_comes_while_the_monitors_are_asked_is_labelled_right() -> None:
    """A rate that rises at the end of a turn is not that of what was kept before it rose."""
    records, transport = recorder(rows_per_s=1000.0, buffer_max_rows=8192), Memory()
    stable = arm(records)
    ships = shipper(records, transport)
    records.dial.turn(16_000, 1.0)
    low = records.dial.rate
    draws = np.random.default_rng(1).integers(DRAWS, size=2_000).tolist()
    asked = transport.capacity

    def capacity() -> Capacity:
        for draw in draws:
            keep(stable, draw, draw)
        transport.capacity = asked  # type: ignore[method-assign]
        return asked()

    transport.capacity = capacity  # type: ignore[method-assign]
    ships.ship(1.0)
    ships.ship(1.0)

    (block,) = transport.blocks
    assert records.dial.rate > low
    assert sorted(int(kept, 16) for kept in block.prediction_ids.tolist()) == sorted(
        draw for draw in draws if draw < block.rate * DRAWS
    )


def test_large_requests_that_fill_the_buffer_leave_all_that_their_rate_keeps() -> None:
    """A buffer with room for two requests loses none of fifty that come in one turn."""
    some = 0
    for seed in range(40):
        records, transport = recorder(buffer_max_rows=8192), Memory()
        stable = arm(records)
        draws = np.random.default_rng(seed).integers(DRAWS, size=50).tolist()
        for draw in draws:
            keep(stable, draw, draw, rows=4096)
        shipper(records, transport).ship(1.0)

        assert dropped(transport.snapshots[-1]) == {}
        found = {int(kept, 16) for block in transport.blocks for kept in block.prediction_ids}
        for block in transport.blocks:
            assert found == {draw for draw in draws if draw < block.rate * DRAWS}
            some += 1

    assert some > 10


def test_blocks_bring_the_counts_of_all_requests() -> None:
    """Sampled or not; what was told is not told again, and what has no block waits for one."""
    records, transport = recorder(), Memory()
    stable = arm(records)
    ships = shipper(records, transport)
    for _ in range(5):
        stable.answered(0.001)
    stable.failed(0.001, "overloaded")
    ships.ship(1.0)
    assert transport.blocks == []

    stable.failed(0.001, "bad_tensor")
    keep(stable, 1, 0)
    stable.answered(0.001)
    ships.ship(1.0)
    ships.ship(1.0)
    (block,) = transport.blocks
    assert (block.rows, block.answered, block.refused) == (1, 6, 1)


def test_a_block_without_rows_tells_of_requests_that_were_all_refused() -> None:
    """Their rows never came; the monitors take it in like any other."""
    records, transport = recorder(), Memory()
    stable = arm(records)
    for _ in range(3):
        stable.failed(0.001, "bad_tensor")
    shipper(records, transport).ship(1.0)

    (block,) = transport.blocks
    assert (block.rows, block.answered, block.refused) == (0, 0, 3)
    features = tuple(Feature(name=f"f{at}", input="x", column=at) for at in range(3))
    panel = Panel(
        Card(task=Task.OTHER, features=features, score=Score(output="y")),
        REGRESSOR,
        None,
        Monitors(),
    )
    for _ in range(100):
        panel.update(block)
    alarms = {signal.name for signal in panel.signals() if signal.verdict is Verdict.ALARM}
    assert (panel.failures, alarms) == (0, {"refused_requests"})


def test_a_baseline_is_counted_apart_and_watched_together() -> None:
    """One block has the rows and the requests of both arms of the version, under its own role."""
    records, transport = recorder(), Memory()
    stable = arm(records)
    baseline = records.arm(Origin(MODEL, 1, Role.STABLE, REGRESSOR), Role.BASELINE)
    for number, each in enumerate((stable, baseline, baseline)):
        each.answered(0.001)
        keep(each, number, 0)
    baseline.failed(0.001, "bad_tensor")
    shipper(records, transport).ship(1.0)

    (block,) = transport.blocks
    assert (block.role, block.rows, block.answered, block.refused) == ("stable", 3, 3, 1)
    found = records.counts.snapshot("me", 0).histograms
    assert {
        series[1][2]: sum(counts.buckets) for series, counts in found.items() if not series[1][3]
    } == {"stable": 1, "baseline": 2}


def test_a_version_that_comes_back_tells_nothing_twice() -> None:
    """Counts outlive a version that is unloaded; its new recorder begins at what they are."""
    records, transport = recorder(), Memory()
    arm(records).failed(0.001, "bad_tensor")
    ships = shipper(records, transport)
    ships.ship(1.0)
    again = arm(records)
    again.failed(0.001, "bad_tensor")
    ships.ship(1.0)
    assert [block.refused for block in transport.blocks] == [1, 1]
