"""Samples made by hand, and a transport that a test controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from configs.settings import Recorder as RecorderSettings
from monitors.blocks import SampleBlock, Snapshot
from monitors.telemetry.names import SAMPLES, SAMPLES_DROPPED
from registry.records import Role
from registry.signature import Signature
from serve.recorder.dial import Capacity
from serve.recorder.recorder import ArmRecorder, Recorder
from serve.recorder.samples import Origin, Sample
from tests.serve.versions import MODEL, REGRESSOR

STABLE = Origin(MODEL, 1, Role.STABLE, REGRESSOR)


def sample(
    number: int,
    rows: int = 1,
    *,
    origin: Origin = STABLE,
    width: int = 3,
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Sample:
    """A prediction whose id is its number, and whose tensors hold the number and the row."""
    values = np.full((rows, width), float(number), np.float32)
    values[:, 0] = np.arange(rows)
    columns = {name: np.array(found, object) for name, found in (groups or {}).items()}
    return Sample(
        origin, f"{number:032x}", rows, (values,), (values.sum(axis=1, keepdims=True),), columns
    )


def keep(arm: ArmRecorder, number: int, draw: int, rows: int = 1) -> None:
    """Offer a prediction to a recorder."""
    made = sample(number, rows)
    arm.sample(draw, made.prediction_id, rows, (made.inputs, made.outputs), made.groups)


def recorder(rows_per_s: float = 1e6, buffer_max_rows: int = 1000) -> Recorder:
    """A recorder that keeps everything, as long as there is room."""
    return Recorder(RecorderSettings(sample_rows_per_s=rows_per_s, buffer_max_rows=buffer_max_rows))


def arm(of: Recorder, signature: Signature = REGRESSOR) -> ArmRecorder:
    """The recorder of version 1 as stable."""
    return of.arm(Origin(MODEL, 1, Role.STABLE, signature))


def shipped(snapshot: Snapshot) -> int:
    """The rows that a snapshot says were shipped."""
    return sum(n for (name, _), n in snapshot.counters.items() if name == SAMPLES.name)


def dropped(snapshot: Snapshot) -> dict[str, int]:
    """The rows that a snapshot says were dropped, by reason."""
    return {
        attributes[0]: n
        for (name, attributes), n in snapshot.counters.items()
        if name == SAMPLES_DROPPED.name and n
    }


class Memory:
    """A transport that keeps what it is sent, unless it is told to refuse."""

    def __init__(self) -> None:
        self.blocks: list[SampleBlock] = []
        self.snapshots: list[Snapshot] = []
        self.refuses = False
        self.lost = 0
        self.room = Capacity()

    def send_blocks(self, blocks: Sequence[SampleBlock]) -> bool:
        """Keep blocks."""
        if not self.refuses:
            self.blocks += blocks
        return not self.refuses

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Keep a snapshot."""
        if not self.refuses:
            self.snapshots.append(snapshot)
        return not self.refuses

    def lost_rows(self) -> int:
        """What a test says was lost."""
        lost, self.lost = self.lost, 0
        return lost

    def capacity(self) -> Capacity:
        """What a test says can be taken."""
        return self.room

    def ids(self) -> list[NDArray[np.bytes_]]:
        """The prediction ids of each block."""
        return [block.prediction_ids for block in self.blocks]
