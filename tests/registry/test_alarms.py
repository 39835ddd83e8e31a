"""What can happen to an alarm, and what cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import BadInput, Conflict, NotFound
from registry.alarms import (
    Alarm,
    AlarmState,
    Finding,
    acknowledged,
    closed,
    find_alarm,
    in_order,
    is_another,
    silenced,
    unsilenced,
)
from registry.routing import Change
from tests.registry.alarms import alarm, minute, why

Step = Callable[[Alarm, Change], Alarm]


def _silenced(before: Alarm, change: Change) -> Alarm:
    return silenced(before, minute(59), change)


def _rearmed(before: Alarm, change: Change) -> Alarm:
    return closed(before, False, change)


def _adopted(before: Alarm, change: Change) -> Alarm:
    return closed(before, True, change)


STEPS: tuple[Step, ...] = (acknowledged, _silenced, unsilenced, _rearmed, _adopted)


def test_a_new_alarm_says_what_was_found_and_by_whom_it_was_raised() -> None:
    """It is raised, by its first change."""
    new = alarm()

    assert (new.state, new.number, new.by, new.at) == (AlarmState.RAISED, 1, "weir", minute(1))
    assert (new.raised_at, new.finding.message) == (minute(0), "income has moved up")
    assert not new.closed


def test_somebody_takes_an_alarm_on_once() -> None:
    """A second time is a conflict that names the first."""
    taken = acknowledged(alarm(), why(2))

    assert (taken.state, taken.number, taken.by, taken.reason) == (
        AlarmState.ACKNOWLEDGED,
        2,
        "ada",
        "because",
    )
    with pytest.raises(Conflict, match=f"acknowledged by ada at {minute(2)[:16]}"):
        acknowledged(taken, why(3, "bob"))


def test_a_silence_has_an_end_which_is_to_come() -> None:
    """It can be made longer; one that would be over is refused."""
    quiet = silenced(alarm(), minute(10), why(2))

    assert (quiet.state, quiet.until) == (AlarmState.SILENCED, minute(10))
    assert silenced(quiet, minute(20), why(3)).until == minute(20)
    for end in (minute(2), minute(1)):
        with pytest.raises(BadInput, match="over already"):
            silenced(alarm(), end, why(2))


def test_a_silence_that_is_over_raises_the_alarm_again() -> None:
    """Not a minute before, and only what is silenced."""
    quiet = silenced(alarm(), minute(10), why(2))

    again = unsilenced(quiet, why(10, "weir"))

    assert (again.state, again.until, again.number) == (AlarmState.RAISED, None, 3)
    for wrong, at in ((quiet, 9), (alarm(), 10), (acknowledged(quiet, why(3)), 10)):
        with pytest.raises(Conflict, match="no silence that is over"):
            unsilenced(wrong, why(at))


def test_taking_on_a_silenced_alarm_ends_the_silence() -> None:
    """Somebody looks at it, so nobody need be told again later."""
    taken = acknowledged(silenced(alarm(), minute(10), why(2)), why(3))

    assert (taken.state, taken.until) == (AlarmState.ACKNOWLEDGED, None)


@pytest.mark.parametrize(("close", "how"), [(_rearmed, "re-arming"), (_adopted, "adopting")])
@pytest.mark.parametrize("step", STEPS)
def test_nothing_happens_to_a_closed_alarm(close: Step, how: str, step: Step) -> None:
    """The sentence says how it was closed, by whom, and that another may be raised."""
    over = close(alarm(), why(2))

    assert over.closed
    assert over.adopted == (close is _adopted)
    with pytest.raises(Conflict) as caught:
        step(over, why(20))
    if step is not unsilenced:
        assert how in caught.value.message
        assert "by ada at" in caught.value.message


@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_whatever_is_tried_an_alarm_stays_sound(steps: list[Step]) -> None:
    """Changes are numbered one by one, only a silence has an end, only a closed one is adopted."""
    now = alarm()
    for number, step in enumerate(steps):
        try:
            following = step(now, why(2 + number))
        except Conflict:
            continue
        assert following.number == now.number + 1
        assert (following.until is not None) == (following.state is AlarmState.SILENCED)
        assert not following.adopted or following.closed
        assert (following.id, following.key, following.finding) == (now.id, now.key, now.finding)
        assert not now.closed
        now = following


def test_another_alarm_of_the_same_key_is_one_that_began_after_the_end_of_the_last() -> None:
    """An open one is told of again; a closed one may come back from before it was closed."""
    over = closed(alarm(at=0), False, why(5))

    assert is_another(None, minute(0))
    assert not is_another(alarm(at=0), minute(30))
    assert not is_another(over, minute(0))
    assert not is_another(over, minute(5))
    assert is_another(over, minute(6))


def test_alarms_are_listed_by_state_and_then_the_latest_first() -> None:
    """What is raised comes first, what is closed last."""
    old, new = alarm("old", at=0), alarm("new", at=3)
    taken = acknowledged(alarm("taken", at=5), why(7))
    quiet = silenced(alarm("quiet", at=6), minute(50), why(8))
    over = closed(alarm("over", at=9), False, why(11))

    listed = in_order([over, old, quiet, taken, new])

    assert [each.id for each in listed] == ["new", "old", "taken", "quiet", "over"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_left_out(odd: float) -> None:
    """Such a number of a finding is none; the others stay."""
    assert Finding.of(odd, odd, odd, odd, "so") == Finding(None, None, None, None, "so")
    assert Finding.of(8.0, odd, -1.0, None, "so") == Finding(8.0, None, -1.0, None, "so")


def test_an_unknown_id_is_named_and_cut_short() -> None:
    """Whoever mistypes an id learns where to find the right one."""
    with pytest.raises(NotFound, match=r"no alarm 'x{80}': list the alarms"):
        find_alarm("x" * 200, None)


def test_what_an_alarm_is_about_can_be_said_without_a_subject() -> None:
    """Signals of a whole version have none."""
    key = alarm().key
    assert key.text() == "input_drift of income (credit, version 2, stable)"
    assert key._replace(subject="").text() == "input_drift (credit, version 2, stable)"
    assert replace(alarm().finding, log10_evidence=None).evidence() == ""
    assert alarm().finding.evidence() == "evidence 10^8.2"
