"""Counts by minute, hour and day merge bit for bit, in bounded memory."""

import numpy as np
import pytest

from monitors import windows as module
from monitors.windows import DAY, HOUR, Windows


def rows(rng: np.random.Generator) -> np.ndarray:
    """Counts of some rows in two streams of three bins."""
    return rng.integers(0, 50, (2, 3))


def test_eight_replicas_hold_what_one_would() -> None:
    """Rows spread over eight replicas and merged in any order are those of a single stream."""
    rng = np.random.default_rng(0)
    single, replicas = Windows((2, 3)), [Windows((2, 3)) for _ in range(8)]
    for minute in range(200):
        for number in rng.permutation(8)[:5]:
            counts = rows(rng)
            single.add(minute, counts)
            replicas[number].add(minute, counts)
    merged = Windows((2, 3))
    for number in rng.permutation(8):
        merged.merge(replicas[number])
    for name, held in single.state().items():
        assert np.array_equal(merged.state()[name], held), name


def test_any_length_of_time_can_be_asked_for() -> None:
    """The last ten minutes exactly; six hours and a week to within one hour and one day."""
    windows = Windows((1, 1))
    for minute in range(8 * DAY):
        windows.add(minute, np.array([[1]]))
    now = 8 * DAY - 1
    assert windows.last(10, now).item() == 10
    assert windows.last(1, now).item() == 1
    assert 6 * HOUR <= windows.last(6 * HOUR, now).item() < 7 * HOUR
    assert 7 * DAY <= windows.last(7 * DAY, now).item() < 8 * DAY + 1
    assert windows.last(10, now + 100).item() == 0


def test_the_oldest_windows_go_first_and_never_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a fifth of all windows, the latest are there, of all streams."""
    monkeypatch.setattr(module, "MEMORY_MAX_BYTES", 2 * 3 * 8 * 27)
    windows = Windows((2, 3))
    for minute in range(5 * DAY):
        windows.add(minute, np.ones((2, 3), dtype=np.int64))
    held = windows.state()
    assert len(held["windows"]) <= 27
    assert (windows.last(5, 5 * DAY - 1) == 5).all()


def test_windows_go_on_from_a_state() -> None:
    """Held again, they answer as before; those of another shape are refused."""
    windows = Windows((2, 3))
    for minute in range(100):
        windows.add(minute, rows(np.random.default_rng(minute)))
    again = Windows((2, 3))
    again.restore(windows.state())
    assert np.array_equal(again.last(30, 99), windows.last(30, 99))
    with pytest.raises(ValueError, match="windows of shape"):
        Windows((2, 4)).restore(windows.state())
    with pytest.raises(ValueError, match="cannot take in"):
        Windows((2, 4)).merge(windows)


def test_windows_that_ended_before_a_moment_are_dropped() -> None:
    """Of a minute, an hour and a day; what reaches past the moment stays whole."""
    windows = Windows((1, 1))
    for day in range(4):
        windows.add(day * DAY + 30, np.array([[1]]))
    windows.add(3 * DAY + 90, np.array([[1]]))
    assert not windows.forget(30)
    assert windows.forget(3 * DAY + 60)
    assert windows.state()["windows"].tolist() == [
        [1, 3 * DAY + 90],
        [HOUR, 3 * DAY + HOUR],
        [DAY, 3 * DAY],
    ]
    assert not windows.forget(3 * DAY + 60)
