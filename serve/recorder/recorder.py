"""The recorder of one gateway replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import fsum
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import BadTensor
from configs.settings import Recorder as RecorderSettings
from monitors.labels.assigned import Assigned
from monitors.telemetry import names
from registry.records import Role
from serve.recorder.counts import Counts, Histogram
from serve.recorder.dial import LEAST_SHED, Capacity, Dial
from serve.recorder.samples import Origin, Sample, kept, within


class Lost(StrEnum):
    """Why rows that were chosen for the monitors did not reach them."""

    BUFFER_FULL = "buffer full"
    SHAPES_DIFFER = "shapes differ"
    MONITOR_BEHIND = "monitor behind"
    MONITOR_FAILED = "monitor failed"


class ArmRecorder:
    """Records what one version does in one role, which may be another than the monitors see."""

    def __init__(self, recorder: Recorder, origin: Origin, role: Role) -> None:
        self.origin = origin
        self.version = str(origin.version)
        self.role = role.value
        self._recorder = recorder
        self._attributes = (origin.model, self.version, self.role)
        self._answered = recorder.counts.histogram(names.INFERENCE_DURATION, *self._attributes, "")
        self._failed: dict[str, Histogram] = {}
        self._before: list[tuple[int, float]] = [_total(self._answered)]
        self._failed_before: list[tuple[int, float]] = []
        self.last_answer_s = 0.0
        self._told = (0, 0)

    def answered(self, seconds: float) -> None:
        """Count an answer and how long it took."""
        self._answered.record(seconds)
        self.last_answer_s = perf_counter()

    @property
    def succeeded(self) -> tuple[int, float]:
        """How many answers were given, and how long they took in all, in seconds."""
        return _less([_total(self._answered)], self._before)

    @property
    def errors(self) -> tuple[int, float]:
        """How many errors were given, and how long they took in all, in seconds."""
        return _less([_total(each) for each in self._failed.values()], self._failed_before)

    def failed(self, seconds: float, code: str) -> None:
        """Count an error by its code."""
        if code not in self._failed:
            failed = self._recorder.counts.histogram(
                names.INFERENCE_DURATION, *self._attributes, code
            )
            self._failed[code] = failed
            self._failed_before.append(_total(failed))
        self._failed[code].record(seconds)

    def requests(self) -> tuple[int, int]:
        """Give how many were answered, and how many broke the contract, beyond what was told."""
        failed = [*self._failed.items()]  # The loop may add to it meanwhile.
        refused = sum(
            _total(each)[0] - before[0]
            for (code, each), before in zip(failed, self._failed_before, strict=False)
            if code == BadTensor.code
        )
        return self.succeeded[0] - self._told[0], refused - self._told[1]

    def told(self, answered: int, refused: int) -> None:
        """Remember that so many have been told of."""
        self._told = self._told[0] + answered, self._told[1] + refused

    def sample(
        self,
        draw: int,
        prediction_id: str,
        rows: int,
        tensors: tuple[Sequence[NDArray[Any]], Sequence[NDArray[Any]]],
        groups: Mapping[str, NDArray[np.object_]],
        request_id: str | None = None,
        assigned: Assigned | None = None,
    ) -> None:
        """Keep the rows of a prediction if its draw is below the dial's limit."""
        if draw < self._recorder.dial.limit:
            origin = self.origin
            inputs = kept(tensors[0], origin.inputs)
            outputs = kept(tensors[1], origin.outputs)
            own, unit = (request_id, assigned) if origin.labelled else (None, None)
            self._recorder.keep(
                draw, Sample(origin, prediction_id, rows, inputs, outputs, groups, own, unit)
            )

    def lost(self, draw: int, rows: int) -> None:
        """Count rows that would be kept, but take more memory than there is for them."""
        if draw < self._recorder.dial.limit:
            self._recorder.dropped(rows, Lost.BUFFER_FULL)


def _total(histogram: Histogram) -> tuple[int, float]:
    return sum(histogram.buckets), histogram.total


def _less(now: list[tuple[int, float]], before: list[tuple[int, float]]) -> tuple[int, float]:
    """What has come since; series outlive a version that is unloaded and loaded again."""
    counts = sum(each[0] for each in now) - sum(each[0] for each in before)
    return counts, fsum(each[1] for each in now) - fsum(each[1] for each in before)


class Recorder:
    """Counts everything, samples rows, never waits: what does not fit is dropped and counted."""

    def __init__(self, settings: RecorderSettings) -> None:
        self.counts = Counts()
        target = settings.sample_rows_per_s if settings.enabled else 0.0
        self.dial = Dial(target, settings.flush_s)
        self._buffer_max_rows = settings.buffer_max_rows
        # Rate and buffer change together: the loop keeps and halves, the shipper takes and turns.
        self._lock = Lock()
        self._samples: list[Sample] = []
        self._arms: dict[tuple[str, int, Role], ArmRecorder] = {}
        self._rows = 0
        self._refusing = False
        # What has not happened yet is counted as zero: a gap in a chart would say "unknown".
        self.counts.add(names.SNAPSHOTS_FAILED, by=0)
        for reason in Lost:
            self.dropped(0, reason)

    def arm(self, origin: Origin, role: Role | None = None) -> ArmRecorder:
        """Give the recorder of a version in a role, to be kept; by default the origin's."""
        role = role or origin.role
        arm = ArmRecorder(self, origin, role)
        with self._lock:
            self._arms[origin.model, origin.version, role] = arm
        return arm

    def arms(self) -> list[ArmRecorder]:
        """Give all of them; where there were several of a version in a role, the last."""
        with self._lock:
            return [*self._arms.values()]

    def keep(self, draw: int, sample: Sample) -> None:
        """Buffer a sample that was drawn; if there is no room, keep less of all, or drop it."""
        with self._lock:
            while self._rows + sample.rows > self._buffer_max_rows and self._thin():
                pass
            if draw >= self.dial.limit:  # It has fallen since it was compared.
                return
            if self._rows + sample.rows > self._buffer_max_rows:
                self.dropped(sample.rows, Lost.BUFFER_FULL)
                return
            self._rows += sample.rows
            self._samples.append(sample)
            self.dial.kept(sample.rows)

    def _thin(self) -> bool:
        """Halve what is buffered, unless little is kept already; the rest is all of a lower rate.

        To drop only what comes later would leave less than the rate says.
        """
        if not self._samples or self.dial.rate <= LEAST_SHED:
            return False
        self.dial.halve()
        self._samples = within(self.dial.rate, self._samples)
        self._rows = sum(sample.rows for sample in self._samples)
        return True

    def dropped(self, rows: int, reason: Lost) -> None:
        """Count rows that were chosen and lost."""
        self.counts.add(names.SAMPLES_DROPPED, reason.value, by=rows)

    def refused(self, model: str) -> None:
        """Count a request that a model had no room for."""
        self.counts.add(names.REQUESTS_SHED, model)
        self._refusing = True

    def turn(self, seconds: float, capacity: Capacity) -> tuple[list[Sample], float]:
        """Give what the last `seconds` brought and the rate of it, and set the dial anew.

        The samples hold all that the rate keeps, and what was kept while it was higher.
        """
        refusing, self._refusing = self._refusing, False
        with self._lock:
            samples, _ = self.take()
            rate = self.dial.rate
            self.dial.capacity = capacity
            self.dial.turn(self.dial.kept_rows, seconds, refusing=refusing)
        return samples, rate

    def take(self) -> tuple[list[Sample], int]:
        """Give what is buffered, and its rows, and begin anew."""
        samples, self._samples = self._samples, []
        rows, self._rows = self._rows, 0
        return samples, rows
