"""What the join of late labels costs: predictions and labels of one model, with random delays.

    python -m benchmarks.labels [--rows 1000000]

Predictions come in blocks, labels in calls; each label comes a random time after its prediction,
some before it. Everything that was joined is read back, and compared row by row with what was
sent. One process on one core, measured in processor time; a minute for a million.
"""

from __future__ import annotations

import os

# One core is what is measured; numpy reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.machine import describe
from configs.settings import Labels
from monitors.blocks import SampleBlock
from monitors.labels.book import LabelBook
from monitors.labels.judged import JudgedBlock
from monitors.labels.message import Awaited
from monitors.stats.uniforms import row_keys
from registry.card import Card, Decision, Group, Label, Score, Task
from registry.records import Role

JOINS_TARGET = 20_000
"""Joins a second on one core: predictions taken in, labels read and joined, judged rows given."""

MEMORY_TARGET = 128 * 2**20
"""By so much memory may grow, whatever the number of rows; half of it is SQLite's cache."""

BLOCK_ROWS = 500
CALL_LABELS = 5000
"""As `weir feedback` sends them."""

ROWS_PER_S = 1000.0
EARLY_SHARE = 0.02
START = 1_700_000_000.0
PLACE = ("m", 1, Role.STABLE.value)

CARD = Card(
    task=Task.BINARY,
    score=Score(output="p"),
    decision=Decision(threshold=0.5),
    groups=(Group(name="sex"),),
    label=Label(type="boolean"),
)
AWAITED = Awaited(Label(type="boolean"))


@dataclass(slots=True)
class Sent:
    """What was sent: for each prediction its key, its score, its label, and when that comes."""

    ids: list[str]
    keys: NDArray[np.uint64]
    scores: NDArray[np.float32]
    labels: NDArray[np.bool_]
    comes_at: NDArray[np.float64]


@dataclass(slots=True)
class Cost:
    """What has been used, and what came out of it."""

    expected_s: float = 0.0
    heard_s: float = 0.0
    judged_s: float = 0.0
    grown: int = 0
    blocks: list[JudgedBlock] = field(default_factory=list)
    after: int = 0

    @property
    def seconds(self) -> float:
        """Processor time of everything."""
        return self.expected_s + self.heard_s + self.judged_s


def main() -> None:
    """Measure and print; the exit status is 1 where something is lost or a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    console = Console()
    console.print("  ".join(f"{name} {value}" for name, value in describe().items()), style="dim")
    sent = made(asked.rows)
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        cost = joined(sent, Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    elapsed = perf_counter() - began
    wrong = compared(sent, cost.blocks)
    rate = asked.rows / cost.seconds
    each = 1e6 / asked.rows
    console.print(
        f"{asked.rows:,} predictions and labels: {rate:,.0f} joins/s of processor time "
        f"({cost.expected_s * each:.1f} us a prediction, {cost.heard_s * each:.1f} us a label, "
        f"{cost.judged_s * each:.1f} us a judged row), {elapsed:.0f} s in all"
    )
    console.print(
        f"memory grew by {cost.grown / 2**20:.0f} MiB; {size / asked.rows:.0f} bytes a row; "
        f"lost or wrong: {wrong}"
    )
    if wrong or rate < JOINS_TARGET or cost.grown > MEMORY_TARGET:
        raise SystemExit(1)


def made(rows: int) -> Sent:
    """Predictions at a steady pace; the mean delay of a label is a quarter of the whole time."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**64, (rows, 2), dtype=np.uint64)
    ids = [f"{high:016x}{low:016x}" for high, low in words.tolist()]
    at = START + (np.arange(rows) // BLOCK_ROWS + 1) * (BLOCK_ROWS / ROWS_PER_S)
    delay = rng.exponential(rows / ROWS_PER_S / 4, rows)
    delay = np.where(rng.random(rows) < EARLY_SHARE, -rng.exponential(5.0, rows), delay)
    return Sent(
        ids,
        row_keys(np.array(ids, dtype="S32"), np.zeros(rows, dtype=np.int64)),
        rng.random(rows).astype(np.float32),
        rng.random(rows) < 0.3,
        at + delay,
    )


def joined(sent: Sent, folder: Path) -> Cost:
    """Send everything in the order of time, and read what was judged."""
    book = LabelBook(folder, Labels())
    cost = Cost()
    calls = _calls(sent)
    called_at, call = next(calls)
    before = _resident()
    for step in range(0, len(sent.ids), BLOCK_ROWS):
        now = START + (step // BLOCK_ROWS + 1) * (BLOCK_ROWS / ROWS_PER_S)
        block = _block(sent, step, now)
        began = process_time()
        book.expect(block, CARD, now)
        cost.expected_s += process_time() - began
        while call and called_at <= now:
            _hear(book, call, now, cost)
            called_at, call = next(calls, (np.inf, []))
        if step % (20 * BLOCK_ROWS) == 0:
            _judge(book, now, cost)
            cost.grown = max(cost.grown, _resident() - before - _held(cost.blocks))
    while call:
        _hear(book, call, called_at, cost)
        called_at, call = next(calls, (np.inf, []))
    _judge(book, float(sent.comes_at.max()), cost)
    book.close()
    return cost


def compared(sent: Sent, blocks: list[JudgedBlock]) -> int:
    """How many rows are missing, came twice, or say something that was not sent."""
    keys = np.concatenate([block.keys for block in blocks])
    order = np.argsort(sent.keys)
    place = order[np.searchsorted(sent.keys[order], keys).clip(max=len(order) - 1)]
    right = (
        (sent.keys[place] == keys)
        & (np.concatenate([block.labels for block in blocks]) == sent.labels[place])
        & (np.concatenate([block.scores for block in blocks]) == sent.scores[place])
        & (np.concatenate([block.signs for block in blocks]) == 1)
    )
    return int((~right).sum() + len(keys) - len(np.unique(keys))) + abs(len(keys) - len(sent.ids))


def _hear(book: LabelBook, call: list[dict[str, Any]], now: float, cost: Cost) -> None:
    began = process_time()
    receipt = book.feedback("m", call, AWAITED, now)
    cost.heard_s += process_time() - began
    assert receipt.accepted == len(call)


def _judge(book: LabelBook, now: float, cost: Cost) -> None:
    began = process_time()
    book.ripen(now)
    for block, last in book.judged(PLACE, CARD, cost.after):
        cost.blocks.append(block)
        cost.after = last
    cost.judged_s += process_time() - began


def _calls(sent: Sent) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """Calls that bring labels in the order in which they come, and when the last of each does."""
    order = np.argsort(sent.comes_at, kind="stable")
    for begin in range(0, len(order), CALL_LABELS):
        places = order[begin : begin + CALL_LABELS].tolist()
        yield (
            float(sent.comes_at[places[-1]]),
            [{"prediction_id": sent.ids[p], "label": bool(sent.labels[p])} for p in places],
        )


def _block(sent: Sent, begin: int, now: float) -> SampleBlock:
    ids = sent.ids[begin : begin + BLOCK_ROWS]
    rows = len(ids)
    return SampleBlock(
        *PLACE,
        source="s",
        rate=1.0,
        prediction_ids=np.array(ids, dtype="S32"),
        row_numbers=np.zeros(rows, dtype=np.int64),
        inputs={},
        outputs={"p": sent.scores[begin : begin + rows, None]},
        groups={"sex": np.array(["f", "m"], dtype=np.object_)[np.arange(rows) % 2]},
        made_at=now,
        answered=rows,
    )


def _held(blocks: list[JudgedBlock]) -> int:
    """Bytes of what is kept for the comparison: numbers, and pointers to the names of groups."""
    return sum(block.rows for block in blocks) * 73


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
