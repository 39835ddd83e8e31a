"""Replicas rest, are tried and serve again by what they did, never more of them than serve."""

from __future__ import annotations

from serve.models.health import Health, Reason, Standing, Ward
from serve.models.pace import Pace, usual
from serve.models.retries import RetryBudget


def ward(replicas: int) -> tuple[Ward, list[Health], list[Reason]]:
    """A version with so many replicas, all of them linked."""
    told: list[Reason] = []
    made = Ward(told.append)
    made.healths = [Health() for _ in range(replicas)]
    for health in made.healths:
        health.linked = True
    return made, made.healths, told


def runs(health: Health, seconds: float, count: int = 20) -> None:
    """Have a replica answer batches."""
    for _ in range(count):
        health.pace.note(seconds, 1)


def test_never_more_than_half_rest() -> None:
    """Of one replica none rests, of two and three one, of four two, of eight four."""
    for replicas, most in ((1, 0), (2, 1), (3, 1), (4, 2), (8, 4)):
        team, healths, told = ward(replicas)

        rested = [team.eject(health, Reason.HUNG, 0.0) for health in healths]

        assert sum(rested) == most == len(told)


def test_a_replica_that_cannot_be_reached_makes_no_room() -> None:
    """The last that can be reached goes on serving, though another one is listed."""
    team, healths, _ = ward(2)
    healths[1].linked = False

    assert not team.eject(healths[0], Reason.SLOW, 0.0)


def test_pauses_double_up_to_half_a_minute_and_are_forgiven() -> None:
    """1, 2, 4, 8, 16, 30, 30 s; after a minute of service the next is short again."""
    health, pauses = Health(), []
    for _ in range(7):
        health.rest(1000.0)
        pauses.append(health.not_before - 1000.0)
    health.serve()
    health.rest(2000.0)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert health.not_before == 2001.0


def test_who_is_alone_pauses_briefly() -> None:
    """Where nobody could take over, a replica is tried again within a second."""
    team, (only,), told = ward(1)
    pauses = []
    for _ in range(7):
        team.broken(only, Reason.RUBBISH, 1000.0)
        pauses.append(only.not_before - 1000.0)

    assert pauses[0] < 0.06
    assert max(pauses) == 1.0
    assert only.standing is Standing.SERVING
    assert told == []


def test_three_losses_in_a_row_are_too_many() -> None:
    """An answer between them starts the count anew; on trial one is enough."""
    health = Health()
    assert [health.lost(), health.lost()] == [False, False]
    health.pace.note(0.1, 1)
    assert [health.lost(), health.lost(), health.lost()] == [False, False, True]

    tried = Health()
    tried.try_again()
    assert tried.lost()


def test_slow_is_judged_beside_the_others() -> None:
    """Three times the others' median and 5 ms more is slow, with 20 batches on both sides."""
    for own, others, count, slow in (
        (0.031, 0.01, 20, True),
        (0.029, 0.01, 20, False),
        (0.031, 0.01, 19, False),
        (0.0049, 0.0001, 20, False),
    ):
        team, healths, told = ward(3)
        runs(healths[0], own, count)
        runs(healths[1], others)
        runs(healths[2], others)

        assert team.judge(0.0) == ([healths[0]] if slow else [])
        assert told == ([Reason.SLOW] if slow else [])


def test_a_version_that_is_slow_everywhere_keeps_its_replicas() -> None:
    """There is no slow replica without a faster one."""
    team, healths, _ = ward(2)
    for health in healths:
        runs(health, 5.0)

    assert team.judge(0.0) == []


def test_failing_is_judged_beside_the_others() -> None:
    """A replica that fails rests only while another one answers."""
    for others_failed, fails in ((0, True), (4, True), (5, False)):
        team, healths, _ = ward(2)
        runs(healths[1], 0.01, 20 - others_failed)
        for _ in range(others_failed):
            healths[1].pace.note_failure()
        for _ in range(5):
            healths[0].pace.note_failure()

        assert bool(team.judge(0.0)) is fails


def test_some_failures_are_not_failing() -> None:
    """Four failures, or seven of the last ten, are not enough; eight of ten are."""
    for answered, failed, failing in ((0, 4, False), (0, 5, True), (10, 7, False), (10, 8, True)):
        pace = Pace()
        for _ in range(answered):
            pace.note(0.1, 1)
        for _ in range(failed):
            pace.note_failure()

        assert pace.failing is failing


def test_a_trial_is_one_batch() -> None:
    """A run as fast as the others' lets a replica in; a slow or failed one has it rest longer."""
    for seconds, well in ((0.01, True), (0.5, False), (None, False)):
        team, healths, _ = ward(2)
        runs(healths[1], 0.01)
        healths[0].rest(0.0)
        healths[0].try_again()
        assert team.tried(healths[0], 1.0) is None

        if seconds is None:
            healths[0].pace.note_failure()
        else:
            healths[0].pace.note(seconds, 1)

        assert team.tried(healths[0], 1.0) is well
        assert healths[0].standing is (Standing.SERVING if well else Standing.RESTING)


def test_only_the_last_64_batches_count() -> None:
    """What was usual long ago is forgotten."""
    pace = Pace()
    pace.note(9.0, 500)
    for _ in range(64):
        pace.note(0.1, 2)

    known = usual([pace])

    assert known is not None
    assert known == (0.1, 0.1, 2)
    assert known.longest_of(8) == 0.4
    assert usual([Pace()]) is None


def test_second_tries_are_a_fifth_of_the_first() -> None:
    """Three at the start, then one for every six batches that ran, at most ten in store."""
    budget = RetryBudget()
    assert [budget.take(0) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(5)
    assert budget.take(7)
    assert not budget.take(8)
    assert sum(budget.take(10_000) for _ in range(20)) == 10
