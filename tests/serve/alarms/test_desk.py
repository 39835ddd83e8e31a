"""What the registry and the monitors say of alarms stays together, whoever of them dies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from configs.errors import Conflict, NotFound, Refused, Unavailable
from monitors.why.answer import Why
from registry.alarm_book import AlarmBook
from registry.alarms import AlarmState
from serve.alarms.desk import AlarmDesk
from tests.serve.alarms.fakes import BEGUN, Clock, Monitors, standing


@pytest.fixture
def monitors() -> Monitors:
    """Monitors by which nothing stands."""
    return Monitors()


@pytest.fixture
def desk(book: AlarmBook, monitors: Monitors) -> AlarmDesk:
    """A desk between the two."""
    return AlarmDesk(book, monitors)


async def test_what_stands_is_recorded_once(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """However often it is looked at, with what the monitors found."""
    monitors.standing = [standing(), standing("age")]

    for _ in range(3):
        await desk.look()

    found = book.alarms()
    assert sorted(each.key.subject for each in found) == ["age", "income"]
    (income,) = [each for each in found if each.key.subject == "income"]
    assert (income.raised_at, income.finding.log10_evidence, income.finding.lower) == (
        "2026-01-01T00:00:00.000000+00:00",
        8.25,
        0.31,
    )


async def test_monitors_that_are_away_change_nothing(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock
) -> None:
    """They tell of alarms when they are back; a silence ends all the same."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    clock.later(minutes=1)
    book.silence_alarm(alarm.id, clock.now.replace(minute=2), "ada", "campaign")
    monitors.away = Unavailable("they start")
    clock.later(minutes=1)

    await desk.look()

    assert book.alarm(alarm.id).state is AlarmState.RAISED


@pytest.mark.parametrize("adopt", [False, True])
async def test_closing_re_arms_first(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock, *, adopt: bool
) -> None:
    """The monitors begin anew, with a new reference if it is adopted; then it is noted."""
    monitors.standing = [standing(), standing("age")]
    await desk.look()
    (income,) = [each for each in book.alarms() if each.key.subject == "income"]
    clock.later(minutes=1)

    over = await desk.close(income.id, adopt, "ada", "repaired")

    assert monitors.rearmed == [(standing().key, adopt)]
    assert (over.state, over.adopted, over.by) == (AlarmState.CLOSED, adopt, "ada")
    await desk.look()
    assert book.alarm(income.id) == over
    assert len(book.alarms()) == 2


@pytest.mark.parametrize("error", [Unavailable("away"), Refused("too few rows"), NotFound("gone")])
async def test_what_the_monitors_cannot_do_is_not_noted(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, error: Exception
) -> None:
    """The caller is told why, and the alarm stays as it is."""
    monitors.standing = [standing()]
    await desk.look()
    (before,) = book.alarms()
    monitors.refuse = error  # type: ignore[assignment]

    with pytest.raises(type(error)):
        await desk.close(before.id, True, "ada", "repaired")

    assert book.alarms() == (before,)


async def test_an_alarm_that_stands_no_more_is_closed_without_re_arming(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """A re-arming costs a part of the budget: one that was made is not made again."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    monitors.standing = [standing(arming=2)]

    over = await desk.close(alarm.id, False, "ada", "repaired")

    assert over.closed
    assert monitors.rearmed == []


async def test_a_closed_alarm_is_not_re_armed_for(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """Who comes second is told so before anything is done."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    await desk.close(alarm.id, False, "ada", "repaired")

    with pytest.raises(Conflict):
        await desk.close(alarm.id, True, "bob", "me too")

    assert len(monitors.rearmed) == 1


async def test_monitors_that_come_back_from_before_are_re_armed_again(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock
) -> None:
    """What they had not written down is done once more; no alarm is raised for it."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    clock.later(minutes=1)
    over = await desk.close(alarm.id, False, "ada", "repaired")
    monitors.standing = [standing()]

    await desk.look()

    assert monitors.rearmed == [(standing().key, False)] * 2
    assert book.alarms() == (over,)


async def test_what_cannot_be_re_armed_again_holds_up_nothing(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock
) -> None:
    """Other alarms are recorded, and the next look tries again."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    clock.later(minutes=1)
    await desk.close(alarm.id, False, "ada", "repaired")
    monitors.standing = [standing(), standing("age")]
    monitors.refuse = Refused("not now")

    await desk.look()
    monitors.refuse = None
    await desk.look()

    assert [each.key.subject for each in book.alarms()] == ["age", "income"]
    assert len(monitors.rearmed) == 2


async def test_what_came_after_the_end_is_another_alarm(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock
) -> None:
    """Also where monitors have forgotten all, and count their armings from one again."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    clock.later(minutes=1)
    await desk.close(alarm.id, False, "ada", "repaired")
    monitors.standing = [standing(at=BEGUN.replace(hour=1))]

    await desk.look()

    assert [each.state for each in book.alarms()] == [AlarmState.RAISED, AlarmState.CLOSED]
    assert len(monitors.rearmed) == 1


async def test_a_look_does_not_undo_a_closing_that_overtook_it(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """What the monitors said before they were re-armed is not taken for what they say after."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()

    await asyncio.gather(
        *(desk.look() for _ in range(5)),
        desk.close(alarm.id, False, "ada", "repaired"),
        *(desk.look() for _ in range(5)),
    )

    assert len(monitors.rearmed) == 1
    assert [each.closed for each in book.alarms()] == [True]


async def test_a_new_reference_closes_all_alarms_of_its_version_in_that_role(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """What was raised against the old one has been answered; in another role it stands."""
    monitors.standing = [standing(), standing("age"), standing(role="shadow")]
    await desk.look()
    (income,) = [each for each in book.alarms() if each.key == standing().key]

    await desk.close(income.id, True, "ada", "new customers")

    assert {(each.key.role, each.key.subject): each.adopted for each in book.alarms()} == {
        ("stable", "income"): True,
        ("stable", "age"): True,
        ("shadow", "income"): False,
    }
    (shadow,) = [each for each in book.alarms() if each.key.role == "shadow"]
    assert not shadow.closed


async def test_monitors_that_come_back_from_before_adopt_once(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook, clock: Clock
) -> None:
    """However many alarms they tell of again: each adoption would begin to learn anew."""
    monitors.standing = [standing(), standing("age")]
    await desk.look()
    clock.later(minutes=1)
    await desk.close(book.alarms()[0].id, True, "ada", "new customers")
    monitors.standing, monitors.rearmed = [standing(), standing("age")], []

    await desk.look()

    assert [adopt for _, adopt in monitors.rearmed] == [True]


async def test_an_alarm_is_explained_with_what_was_changed_around_it(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """What the monitors know of it, and what the audit log knows of the hour before and after."""
    monitors.standing = [standing(), standing("age")]
    await desk.look()
    (alarm,) = [each for each in book.alarms() if each.key.subject == "income"]
    why = Why(BEGUN.timestamp() + 30, True, (), None, None, ())
    monitors.whys[alarm.key] = why

    found = await desk.explain(alarm.id)

    assert (found.alarm, found.why) == (alarm, why)
    resources = [entry.resource for entry in found.nearby]
    assert "models/credit" in resources
    assert f"alarms/{alarm.id}" not in resources
    assert any(each.startswith("alarms/") for each in resources)

    monitors.whys[alarm.key] = replace(why, changed_at=BEGUN.timestamp() + 7 * 86_400)
    assert (await desk.explain(alarm.id)).nearby == found.nearby


async def test_a_closed_alarm_is_not_explained(
    desk: AlarmDesk, monitors: Monitors, book: AlarmBook
) -> None:
    """Its monitor has forgotten what it rested on; and of no alarm nothing is known."""
    monitors.standing = [standing()]
    await desk.look()
    (alarm,) = book.alarms()
    await desk.close(alarm.id, False, "ada", "repaired")

    with pytest.raises(Conflict, match="closed by re-arming"):
        await desk.explain(alarm.id)
    with pytest.raises(NotFound, match="no alarm"):
        await desk.explain("nothing")
