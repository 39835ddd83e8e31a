"""How slow a client may be."""

from __future__ import annotations

from serve.edge.pace import Pace, Taking

PACE = Pace(slow_s=5.0, bytes_per_s=1000)


def test_a_client_has_some_seconds_and_more_for_what_it_moved() -> None:
    """The allowance grows by a second with every `bytes_per_s` bytes."""
    assert not PACE.too_slow(5.0)
    assert PACE.too_slow(5.1)
    assert not PACE.too_slow(7.0, 2000)
    assert PACE.too_slow(7.1, 2000)


def test_a_client_that_takes_nothing_is_too_slow() -> None:
    """The clock begins at the first look that finds something untaken."""
    taking = Taking()

    looks = [taking.too_slow(PACE, now, 10_000, 10_000) for now in (100.0, 105.0, 105.1)]

    assert looks == [False, False, True]


def test_what_tls_adds_to_an_answer_is_not_held_against_its_client() -> None:
    """The system has more bytes to send than were written; the clock begins all the same."""
    taking = Taking()

    looks = [taking.too_slow(PACE, now, 10_000, 10_110) for now in (100.0, 105.0, 105.1)]

    assert looks == [False, False, True]


def test_a_client_that_keeps_the_pace_may_take_long() -> None:
    """As many bytes a second as are asked for are enough for any size."""
    taking = Taking()

    looks = [taking.too_slow(PACE, now, 10**6, 10**6 - 1000 * now) for now in range(900)]

    assert not any(looks)


def test_a_client_that_trickles_is_too_slow() -> None:
    """A byte a second does not keep a connection."""
    taking = Taking()

    looks = [taking.too_slow(PACE, now, 10**6, 10**6 - now) for now in range(8)]

    assert looks == [False] * 6 + [True] * 2


def test_an_answer_on_its_way_at_every_look_is_no_fault() -> None:
    """A client that takes each answer in time is not measured from the first one on."""
    taking = Taking()

    looks = [taking.too_slow(PACE, now, 100 * (now + 1), 100) for now in range(60)]

    assert not any(looks)


def test_what_was_taken_needs_no_second_look() -> None:
    """A connection on which nothing was written since is left alone."""
    taking = Taking()

    assert taking.settled(0)
    assert not taking.settled(100)
    taking.too_slow(PACE, 1.0, 100, 50)
    assert not taking.settled(100)
    taking.too_slow(PACE, 2.0, 100, 0)
    assert taking.settled(100)
