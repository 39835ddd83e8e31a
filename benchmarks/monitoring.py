"""What monitoring costs: the fold by features and by block, and the recorder by request.

    python -m benchmarks.monitoring

Everything runs in this process, on one core, and is measured in processor time: half a minute.
"""

from __future__ import annotations

import os

# One core is what is measured; numpy reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import process_time

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from configs.settings import Monitors
from configs.settings import Recorder as RecorderSettings
from monitors.blocks import SampleBlock, Snapshot
from monitors.panel import Panel
from monitors.profile.build import build_profile
from monitors.profile.reading import Tensors
from registry.card import Card, Decision, Feature, Score, Task
from registry.records import Role
from registry.signature import Datatype, Signature, TensorSpec
from serve.recorder.dial import Capacity
from serve.recorder.recorder import Recorder
from serve.recorder.samples import Origin
from serve.recorder.shipper import Shipper

FEATURES = (10, 30, 100, 300, 1000)
BLOCK_ROWS = (10, 50, 250, 500, 2000)
REFERENCE_ROWS = 4000
VALUES = 600_000
REQUESTS = 500
TARGET = 5_000_000
"""Feature-values a second that one core must fold through all monitors, at `HELD` features."""
HELD = (30, 1000)


@dataclass(frozen=True, slots=True)
class Fold:
    """What the fold of blocks costs: nanoseconds a value, and milliseconds of a look."""

    features: int
    rows: int
    nanoseconds: float
    look_ms: float

    @property
    def per_second(self) -> float:
        """Feature-values a second on one core."""
        return 1e9 / self.nanoseconds


def main() -> None:
    """Measure and print; the exit status is 1 where a target is missed and `--check` was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    console = Console()
    console.print("  ".join(f"{name} {value}" for name, value in describe().items()), style="dim")

    by_features = [fold(features, 500, asked.rounds) for features in FEATURES]
    _show(console, "by features, blocks of 500 rows", by_features)
    _show(console, "by block, 30 features", [fold(30, rows, asked.rounds) for rows in BLOCK_ROWS])
    _show_requests(console, asked.rounds)
    missed = [each for each in by_features if each.features in HELD and each.per_second < TARGET]
    if asked.check and missed:
        raise SystemExit(1)


def fold(features: int, rows: int, rounds: int) -> Fold:
    """Fold blocks of clean rows through every registered monitor."""
    card, signature = _version(features)
    rng = np.random.default_rng(0)
    columns = {
        feature.name: rng.standard_normal(REFERENCE_ROWS).astype(np.float32)
        for feature in card.features
    }
    panel = Panel(card, signature, build_profile(card, signature, columns, _model), Monitors())
    count = max(3, VALUES // (features * rows))
    blocks = [_block(rng, features, rows, number * rows) for number in range(count)]
    panel.update(blocks[0])
    seconds = median(_seconds(lambda: _update(panel, blocks)) for _ in range(rounds))
    look = median(_seconds(panel.signals) for _ in range(rounds))
    if panel.failures:
        raise SystemExit("a monitor failed, so there is no figure")
    return Fold(features, rows, seconds / (count * rows * features) * 1e9, look * 1e3)


def requests(features: int, rounds: int) -> tuple[float, float]:
    """Microseconds that a one-row request costs when it is kept, and the shipping of its row."""
    _, signature = _version(features)
    recorder = Recorder(RecorderSettings(sample_rows_per_s=1e6))
    arm = recorder.arm(Origin("m", 1, Role.STABLE, signature))
    shipper = Shipper(recorder, _Pickled(), "benchmark", 1.0, dict)
    rng = np.random.default_rng(0)
    asked = []
    for number in range(REQUESTS):
        inputs = {"x": rng.standard_normal((1, features)).astype(np.float32)}
        asked.append((f"{number:032x}", (inputs["x"],), (_model(inputs)["p"],)))

    def sample() -> None:
        for prediction_id, inputs, outputs in asked:
            arm.sample(0, prediction_id, 1, (inputs, outputs), {})

    kept, shipped = [], []
    for _ in range(4 * rounds):
        kept.append(_seconds(sample))
        shipped.append(_seconds(lambda: shipper.ship(1.0)))
    return median(kept) / REQUESTS * 1e6, median(shipped) / REQUESTS * 1e6


class _Pickled:
    """A transport that pickles what it is given, as Ray would, and sends it nowhere."""

    def send_blocks(self, blocks: Sequence[SampleBlock]) -> bool:
        """Pickle blocks."""
        return bool(pickle.dumps(tuple(blocks), protocol=5))

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Pickle a snapshot."""
        return bool(pickle.dumps(snapshot, protocol=5))

    def lost_rows(self) -> int:
        """Give none."""
        return 0

    def capacity(self) -> Capacity:
        """Give no limit."""
        return Capacity()


def _seconds(act: Callable[[], object]) -> float:
    before = process_time()
    act()
    return process_time() - before


def _update(panel: Panel, blocks: Sequence[SampleBlock]) -> None:
    for block in blocks:
        panel.update(block)


def _version(features: int) -> tuple[Card, Signature]:
    names = [f"f{number:04d}" for number in range(features)]
    card = Card(
        task=Task.BINARY,
        score=Score(output="p", column=1),
        decision=Decision(threshold=0.5),
        features=tuple(Feature(name=name, input="x", column=at) for at, name in enumerate(names)),
    )
    inputs = (TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, features)),)
    outputs = (TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 2)),)
    return card, Signature(inputs=inputs, outputs=outputs)


def _model(inputs: Tensors) -> dict[str, np.ndarray]:
    p = 1 / (1 + np.exp(-inputs["x"][:, 0]))
    return {"p": np.stack([1 - p, p], axis=1)}


def _block(rng: np.random.Generator, features: int, rows: int, first: int) -> SampleBlock:
    inputs = {"x": rng.standard_normal((rows, features)).astype(np.float32)}
    ids = np.array([f"{number:032x}" for number in range(first, first + rows)], dtype="S32")
    numbers = np.zeros(rows, dtype=np.int64)
    return SampleBlock("m", 1, "stable", "s", 1.0, ids, numbers, inputs, _model(inputs))


def _show(console: Console, title: str, folds: Sequence[Fold]) -> None:
    table = Table("features", "rows", "values/s", "ns a value", "µs a row", "look, ms", title=title)
    for each in folds:
        table.add_row(
            f"{each.features:,}",
            f"{each.rows:,}",
            f"{each.per_second:,.0f}",
            f"{each.nanoseconds:,.0f}",
            f"{each.nanoseconds * each.features / 1e3:,.1f}",
            f"{each.look_ms:,.1f}",
        )
    console.print(table)


def _show_requests(console: Console, rounds: int) -> None:
    table = Table("features", "kept, µs", "shipped, µs", title="by request of one row that is kept")
    for features in HELD:
        kept, shipped = requests(features, rounds)
        table.add_row(f"{features:,}", f"{kept:.2f}", f"{shipped:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
