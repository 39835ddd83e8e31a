"""How large a batch may grow: by what the model pays for rows, by deadlines, by other replicas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.models.caps import Caps, Room
from serve.models.curve import Curve

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BESIDE_S = 0.000_1


def caps(fixed: float, each: float, max_rows: int = 256) -> Caps:
    """The caps of a model that takes so many seconds and so many more a row."""
    made = Caps(max_rows)
    made.learn(Curve(SIZES, tuple(fixed + each * rows for rows in SIZES)))
    return made


def together(room: Room, jobs: list[tuple[int, float]]) -> int:
    """How many of the jobs, given as (rows, deadline), go in the batch."""
    count = 0
    while count < len(jobs) and room.takes(jobs[count][0], 1, jobs[count][1]):
        count += 1
    return count


def test_without_a_curve_only_the_setting_counts() -> None:
    """Nothing is known, so nothing is held back, by deadlines neither."""
    unknown = Caps(256)

    assert unknown.rows(1000, 4) == 256
    assert together(Room(256, 10**9, unknown, 5.0), [(1, 5.0)] * 300) == 256


@pytest.mark.parametrize(
    ("fixed", "each", "most"), [(0.0, 0.005, 1), (0.01, 0.001, 256), (1.0, 0.0, 256)]
)
def test_a_batch_grows_while_rows_get_cheaper(fixed: float, each: float, most: int) -> None:
    """Who pays for every row is run one by one, who does not gets full batches."""
    assert caps(fixed, each).rows(1000, 1) == most


def test_the_setting_is_never_exceeded() -> None:
    """However flat the curve."""
    assert caps(1.0, 0.0, max_rows=10).rows(1000, 1) == 10
    assert caps(1.0, 0.0, max_rows=10).rows(1000, 3) == 10


def test_replicas_share_what_waits_when_rows_cost() -> None:
    """Each takes its part; but no part is so small that the fixed cost is most of it."""
    paying = caps(0.002, 0.001)
    flat = caps(1.0, 0.0)

    assert [paying.rows(100, carriers) for carriers in (1, 2, 4, 50)] == [68, 50, 25, 4]
    assert flat.rows(100, 4) == 256


def test_a_batch_ends_where_a_deadline_would_pass() -> None:
    """It takes as many rows as run before the earliest deadline of its jobs."""
    flat = caps(0.1, 0.01)
    now = 50.0

    def count(*jobs: tuple[int, float]) -> int:
        return together(Room(256, 10**9, flat, now), list(jobs))

    assert count(*[(1, now + 0.205)] * 100) == 10
    assert count(*[(1, now + 30.0)] * 5, *[(1, now + 0.155)] * 5) == 5
    assert count((20, now + 30.0), *[(1, now + 0.115)] * 5) == 1


def test_who_is_late_anyway_makes_no_batch_small() -> None:
    """A job that would be late even alone is sent, for the estimate may be wrong, with all others.

    If it were held back nobody would learn that the model is quick again.
    """
    flat = caps(0.1, 0.01)
    late, patient = (1, 50.05), (1, 80.0)

    assert together(Room(256, 10**9, flat, 50.0), [late, *[patient] * 9]) == 10
    assert together(Room(256, 10**9, flat, 50.0), [patient, *[late] * 9]) == 10


@given(st.integers(0, 1000), st.integers(0, 10**12), st.floats(0.0, 100.0))
def test_the_first_job_always_goes(rows: int, size: int, deadline: float) -> None:
    """A job is never cut and never held back: not for its rows, bytes or deadline."""
    assert Room(1, 1, caps(0.1, 0.01), 50.0).takes(rows, size, deadline)


def test_bytes_are_bounded() -> None:
    """The job that would make a batch too large waits for the next."""
    room = Room(256, 100, caps(1.0, 0.0), 0.0)

    assert [room.takes(1, size, 99.0) for size in (60, 40, 1)] == [True, True, False]


def test_what_batches_really_take_corrects_the_curve() -> None:
    """A replica that is throttled is given less by those in a hurry, until it is quick again."""
    learns = caps(0.1, 0.0)
    told = learns.seconds(1)

    for _ in range(100):
        learns.ran(10, 3 * told)
    assert learns.seconds(1) == pytest.approx(3 * told, rel=0.01)
    assert learns.longest_s == pytest.approx(3 * told, rel=0.01)

    for _ in range(100):
        learns.ran(10, told)
    assert learns.seconds(1) == pytest.approx(told, rel=0.01)
    assert learns.rows(1000, 1) == 256


def test_the_longest_run_bounds_all() -> None:
    """Where no deadline is nearer, no job has to be looked at."""
    some = caps(0.01, 0.001)

    assert some.longest_s == pytest.approx(BESIDE_S + 0.01 + 0.256)
    assert all(some.seconds(rows) <= some.longest_s for rows in range(257))
