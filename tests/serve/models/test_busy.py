"""A replica knows how busy it is, whatever runs at the same time."""

from __future__ import annotations

import pytest

from configs.errors import ModelFailed
from registry.inference import RunOptions
from serve.models.busy import Busy, Load
from serve.models.frames import Tensors


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at nought."""
    return Clock()


@pytest.fixture
def busy(clock: Clock) -> Busy:
    """A watch by that clock."""
    return Busy(clock)


def test_a_share_of_the_time(busy: Busy, clock: Clock) -> None:
    """Two runs of a second in ten are a fifth; each question begins a new count."""

    def run(tensors: Tensors, options: RunOptions | None) -> Tensors:
        del options
        clock.now += 1.0
        return tensors

    watched = busy.watched(run)
    watched((), None)
    watched((), None)
    clock.now = 10.0

    assert busy.load() == Load(busy=0.2, waiting=0.0)
    clock.now = 20.0
    assert busy.load() == Load(busy=0.0, waiting=0.0)


def test_runs_at_the_same_time_wait_for_each_other(busy: Busy, clock: Clock) -> None:
    """Three at once for half of the time: busy for half of it, with one and a half over two."""

    def nested(depth: int) -> None:
        def run(tensors: Tensors, options: RunOptions | None) -> Tensors:
            del options
            if depth == 1:
                clock.now += 5.0
            else:
                nested(depth - 1)
            return tensors

        busy.watched(run)((), None)

    nested(3)
    clock.now = 10.0

    assert busy.load() == Load(busy=0.5, waiting=1.0)


def test_a_run_that_fails_has_ended(busy: Busy, clock: Clock) -> None:
    """Afterwards the replica is idle."""

    def run(tensors: Tensors, options: RunOptions | None) -> Tensors:
        del tensors, options
        clock.now += 1.0
        raise ModelFailed("no")

    with pytest.raises(ModelFailed):
        busy.watched(run)((), None)
    clock.now = 2.0

    assert busy.load() == Load(busy=0.5, waiting=0.0)


def test_a_run_that_goes_on_counts(busy: Busy, clock: Clock) -> None:
    """A replica asked in the middle of a long run has been busy so far."""
    seen = []

    def run(tensors: Tensors, options: RunOptions | None) -> Tensors:
        del options
        clock.now += 1.0
        seen.append(busy.load())
        clock.now += 1.0
        return tensors

    busy.watched(run)((), None)

    assert [*seen, busy.load()] == [Load(1.0, 0.0), Load(1.0, 0.0)]
