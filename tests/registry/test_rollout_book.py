"""Rollouts of the registry: each change once, in the log, with the route that belongs to it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from configs.errors import (
    BadInput,
    Conflict,
    ModelNotFound,
    NotFound,
    PreconditionFailed,
    Unavailable,
    VersionNotFound,
)
from configs.settings import Verify
from registry.card import Card, Decision, Task
from registry.records import FULL, Arm, Route, ShadowArm
from registry.registry import Registry
from registry.rollouts import NOTHING, Hold, Rollout, RolloutState, Shares, digest
from registry.sqlite import SqliteStore
from tests.registry import models
from tests.registry.rollouts import POLICY

THREADS = 32


class Clock:
    """Moments one second apart; can be set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The next moment."""
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of `credit`, of which 1 serves and 3 did before, and a fourth of its own."""
    folder = tmp_path_factory.mktemp("template") / "data"
    with closing(Registry.open(folder, Verify(), Clock())) as registry:
        for bias in (1.0, 2.0, 3.0):
            made = registry.put_artifact(models.regressor(bias).SerializeToString())
            registry.register("credit", made, Card(task=Task.REGRESSION), None, "ada")
        other = registry.put_artifact(models.classifier().SerializeToString())
        card = Card(task=Task.BINARY, decision=Decision(threshold=0.5))
        registry.register("credit", other, card, None, "ada")
        registry.promote("credit", 3, "ada", "")
        registry.promote("credit", 1, "ada", "better")
    return folder


@pytest.fixture
def clock() -> Clock:
    """The clock of the registry, a year later."""
    clock = Clock()
    clock.now += timedelta(days=365)
    return clock


@pytest.fixture
def registry(template: Path, tmp_path: Path, clock: Clock) -> Iterator[Registry]:
    """A registry of its own."""
    shutil.copytree(template, tmp_path / "data")
    with closing(Registry.open(tmp_path / "data", Verify(), clock)) as registry:
        yield registry


def start(registry: Registry) -> Rollout:
    """A rollout of version 2."""
    return registry.start_rollout("credit", 2, POLICY, "ada", "it is new", "r1")


def move(
    registry: Registry,
    before: Rollout,
    state: RolloutState,
    shares: Shares,
    evidence: str = "{}",
) -> Rollout:
    """The rollout in another state, as the conductor makes it."""
    after = replace(before, number=before.number + 1, state=state, entered_at="now", reason="why")
    return registry.change_rollout(before, after, state.value, evidence, "weir", shares)


def begun(registry: Registry) -> Rollout:
    """A rollout that is a canary of 5 %."""
    return move(registry, start(registry), RolloutState.CANARY, Shares(500, 500))


def route_of(registry: Registry) -> Route:
    """The route in force."""
    route = registry.route("credit")
    assert route is not None
    return route


def test_a_rollout_begins_without_a_change_of_the_route(registry: Registry) -> None:
    """It says who answers now, who is to, by which policy, on whose word, and it is in the log."""
    route, entries = route_of(registry), len(registry.audit())
    rollout = start(registry)
    assert (rollout.stable, rollout.candidate, rollout.policy) == (1, 2, POLICY)
    assert (rollout.state, rollout.step, rollout.number) == (RolloutState.STARTING, 0, 1)
    assert (rollout.started_by, rollout.reason) == ("ada", "it is new")
    assert rollout.started_at == rollout.entered_at == rollout.at
    assert registry.rollout("r1") == rollout
    assert registry.rollouts("credit", active_only=True) == registry.rollouts() == (rollout,)
    assert route_of(registry) == route
    (entry,) = registry.audit(after=entries)
    assert (entry.action, entry.resource, entry.before) == ("start", "rollouts/r1", "")
    assert json.loads(entry.after)["policy"] == digest(POLICY)
    assert json.loads(entry.after)["state"] == "starting"


def test_an_id_is_made_up_where_none_is_given(registry: Registry) -> None:
    """One that cannot stand in a path is refused."""
    with pytest.raises(BadInput, match="cannot be the name of a rollout"):
        registry.start_rollout("credit", 2, POLICY, "ada", "", "a/b")
    made = registry.start_rollout("credit", 2, POLICY, "ada", "")
    assert len(made.id) == 16
    assert registry.rollout(made.id) == made


def test_what_cannot_begin_leaves_no_trace(registry: Registry) -> None:
    """Unknown names, other inputs, no policy, and a version that has all of the traffic."""
    entries = registry.audit()
    for model, candidate, policy, error, match in (
        ("fraud", 2, POLICY, ModelNotFound, "fraud"),
        ("credit", 9, POLICY, VersionNotFound, "no version 9"),
        ("credit", 1, POLICY, Conflict, "version 1 of 'credit' has all"),
        ("credit", 4, POLICY, Conflict, "different inputs"),
        ("credit", 2, '{"stepz": [1]}', BadInput, "stepz does not exist. Did you mean 'steps'"),
        ("credit", 2, "no JSON", BadInput, "policy"),
    ):
        with pytest.raises(error, match=match):
            registry.start_rollout(model, candidate, policy, "ada", "")
    assert registry.audit() == entries
    assert registry.rollouts() == ()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: r.set_route("credit", {1: 90, 3: 10}, None, "ada", ""), "divided by hand"),
        (lambda r: r.set_route("credit", {1: 100}, (3, 10), "ada", ""), "version 3 .* a shadow"),
        (lambda r: r.unload("credit", "ada", ""), "is not served"),
    ],
)
def test_a_rollout_begins_from_one_version_alone(
    registry: Registry, change: Callable[[Registry], object], match: str
) -> None:
    """Not beside a split or a shadow made by hand, nor while the model is not served."""
    change(registry)
    with pytest.raises(Conflict, match=match):
        start(registry)


def test_a_shadow_by_hand_may_become_the_candidate(registry: Registry) -> None:
    """Who has looked at a shadow can go on with it, and it ends with the rollout."""
    registry.set_route("credit", {1: 100}, (2, 10), "ada", "")
    shadow = move(registry, start(registry), RolloutState.SHADOW, Shares(shadow_bp=FULL))
    assert route_of(registry).shadow == ShadowArm(2, FULL)
    move(registry, shadow, RolloutState.ROLLING_BACK, NOTHING)
    assert route_of(registry).shadow is None


def test_a_change_comes_with_its_route(registry: Registry, clock: Clock) -> None:
    """The rollout says when it was kept and by whom; both are in the log, one entry each."""
    rollout = start(registry)
    entries = len(registry.audit())
    canary = move(registry, rollout, RolloutState.CANARY, Shares(500, 500), '{"errors": 3}')
    route = route_of(registry)
    assert route.arms == (Arm(1, 9500), Arm(2, 500))
    assert route.judged is not None
    assert (route.judged.rollout, route.judged.baseline_bp) == ("r1", 500)
    assert (canary.by, canary.at, canary.entered_at) == ("weir", route.created_at, canary.at)
    assert registry.rollout("r1") == canary
    assert registry.served_at("credit", clock.now) == route
    moved, routed = registry.audit(after=entries)
    assert (moved.action, moved.resource, moved.actor) == ("canary", "rollouts/r1", "weir")
    assert json.loads(moved.before)["state"] == "starting"
    assert json.loads(moved.after)["evidence"] == digest('{"errors": 3}')
    assert (routed.action, routed.resource) == ("set-route", "models/credit/route")
    assert json.loads(routed.after)["judged"]["candidate"] == 2
    changes = registry.rollout_changes("r1")
    assert [(each.action, each.evidence) for each in changes] == [
        ("start", "{}"),
        ("canary", '{"errors": 3}'),
    ]
    assert [each.rollout for each in changes] == [rollout, canary]
    assert registry.verify_audit() is None


def test_a_change_that_is_the_same_to_the_route_makes_no_generation(registry: Registry) -> None:
    """A pause is one change, and one entry; the state goes on since when it began."""
    canary = begun(registry)
    route, entries = route_of(registry), len(registry.audit())
    after = replace(
        canary,
        number=canary.number + 1,
        state=RolloutState.HELD,
        hold=Hold.PAUSED,
        held_from=RolloutState.CANARY,
        reason="lunch",
    )
    held = registry.change_rollout(canary, after, "pause", "{}", "bob", Shares(500, 500))
    assert (held.by, held.reason, held.entered_at) == ("bob", "lunch", canary.entered_at)
    assert held.at > canary.at
    assert route_of(registry) == route
    assert len(registry.audit()) == entries + 1


def test_a_good_version_is_promoted(registry: Registry) -> None:
    """It proves itself by all of the traffic; the one before stays for a rollback."""
    canary = begun(registry)
    baking = move(registry, canary, RolloutState.BAKING, Shares(9500))
    assert route_of(registry).stable == 1
    assert 2 not in registry.proven("credit")
    done = move(registry, baking, RolloutState.COMPLETED, Shares(FULL))
    route = route_of(registry)
    assert (route.arms, route.stable, route.previous) == ((Arm(2, FULL),), 2, 1)
    assert (route.judged, done.state.over) == (None, True)
    assert registry.proven("credit") == registry.table().models["credit"].proven >= {1, 2}
    assert registry.rollouts("credit", active_only=True) == ()
    assert registry.audit(after=len(registry.audit()) - 1)[0].action == "promote"
    assert registry.rollback("credit", "ada", "after all").arms == (Arm(1, FULL),)
    assert registry.rollout("r1") == done


def test_a_completed_rollout_can_be_taken_back(registry: Registry) -> None:
    """As a change of the rollout, unless another has begun since."""
    done = move(registry, begun(registry), RolloutState.COMPLETED, Shares(FULL))
    back = move(registry, done, RolloutState.ROLLING_BACK, NOTHING)
    assert (route_of(registry).arms, route_of(registry).previous) == ((Arm(1, FULL),), None)
    over = move(registry, back, RolloutState.ROLLED_BACK, NOTHING)
    other = registry.start_rollout("credit", 3, POLICY, "ada", "")
    with pytest.raises(Conflict, match="one active rollout"):
        move(registry, over, RolloutState.ROLLING_BACK, NOTHING)
    assert registry.rollouts("credit", active_only=True) == (other,)


def test_a_completed_rollout_is_not_taken_back_from_others(registry: Registry) -> None:
    """Once the route is somebody else's, the rollout stays completed and the route as it is."""
    done = move(registry, begun(registry), RolloutState.COMPLETED, Shares(FULL))
    since = registry.set_route("credit", {2: 50, 3: 50}, None, "ada", "a test")
    with pytest.raises(Conflict, match="has changed since rollout r1 was completed"):
        move(registry, done, RolloutState.ROLLING_BACK, NOTHING)
    assert (registry.rollout("r1"), route_of(registry)) == (done, since)


def test_a_bad_version_is_rolled_back(registry: Registry) -> None:
    """Its traffic is taken away with the decision; the next rollout may begin when it is over."""
    canary = begun(registry)
    going = move(registry, canary, RolloutState.ROLLING_BACK, NOTHING)
    route = route_of(registry)
    assert (route.arms, route.judged) == ((Arm(1, FULL),), None)
    over = move(registry, going, RolloutState.ROLLED_BACK, NOTHING)
    assert route_of(registry) == route
    second = registry.start_rollout("credit", 2, POLICY, "ada", "once more")
    assert registry.rollouts("credit") == (over, second)
    assert registry.rollouts("credit", active_only=True) == (second,)


def test_a_second_rollout_waits_for_the_first(registry: Registry) -> None:
    """It is told which one, and how to end it."""
    start(registry)
    with pytest.raises(Conflict, match=r"rollout r1 of version 2 is starting.*weir rollout abort"):
        registry.start_rollout("credit", 3, POLICY, "ada", "")


@pytest.mark.parametrize("is_judged", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.set_route("credit", {3: 100}, None, "ada", ""),
        lambda registry: registry.promote("credit", 3, "ada", "why"),
        lambda registry: registry.unload("credit", "ada", ""),
    ],
)
def test_a_route_is_not_changed_by_hand_under_a_rollout(
    registry: Registry, change: Callable[[Registry], object], is_judged: bool
) -> None:
    """From its start to its end: who tries is told which rollout it is and how to end it."""
    rollout = begun(registry) if is_judged else start(registry)
    route, entries = registry.route("credit"), registry.audit()
    with pytest.raises(Conflict, match=r"rollout r1 of version 2 .*weir rollout abort r1"):
        change(registry)
    assert (registry.route("credit"), registry.audit()) == (route, entries)
    failed = move(registry, rollout, RolloutState.FAILED, NOTHING)
    assert failed.state.over
    change(registry)


def test_nobody_is_told_to_abort_what_is_on_its_way_back(registry: Registry) -> None:
    """It ends by itself."""
    move(registry, begun(registry), RolloutState.ROLLING_BACK, NOTHING)
    for change in (lambda: start(registry), lambda: registry.promote("credit", 3, "ada", "")):
        with pytest.raises(Conflict, match="it ends by itself when every") as refused:
            change()
        assert "abort" not in refused.value.message


@pytest.mark.parametrize(
    ("state", "shares"),
    [
        (RolloutState.CANARY, Shares(500, 500)),
        (RolloutState.SHADOW, Shares(shadow_bp=FULL)),
        (RolloutState.BAKING, Shares(9500)),
    ],
)
def test_a_rollback_by_hand_ends_the_rollout(
    registry: Registry, state: RolloutState, shares: Shares
) -> None:
    """All goes to the stable version at once, not further; the conductor has to look again."""
    before = move(registry, start(registry), state, shares)
    entries = len(registry.audit())
    route = registry.rollback("credit", "bob", "phones ring")
    assert (route.arms, route.judged, route.shadow) == ((Arm(1, FULL),), None, None)
    rollout = registry.rollout("r1")
    assert (rollout.state, rollout.by) == (RolloutState.ROLLING_BACK, "bob")
    assert (rollout.reason, rollout.number) == ("phones ring", before.number + 1)
    log = [(each.action, each.resource) for each in registry.audit(after=entries)]
    assert log == [("rollback", "rollouts/r1"), ("rollback", "models/credit/route")]
    with pytest.raises(PreconditionFailed, match=r"change 3 \(rolling back\), not 2"):
        move(registry, before, RolloutState.BAKING, Shares(9500))
    assert route_of(registry) == route


def test_a_rollback_by_hand_is_possible_at_every_time(registry: Registry) -> None:
    """Before the candidate gets anything it goes to the version before, and so does a second."""
    start(registry)
    with pytest.raises(PreconditionFailed, match="at generation 2, not 7"):
        registry.rollback("credit", "bob", "no", 7)
    assert registry.rollout("r1").number == 1
    assert registry.rollback("credit", "bob", "no").arms == (Arm(3, FULL),)
    going = registry.rollout("r1")
    assert going.state is RolloutState.ROLLING_BACK
    with pytest.raises(Conflict, match="no previous version"):
        registry.rollback("credit", "bob", "no")
    move(registry, going, RolloutState.ROLLED_BACK, NOTHING)
    assert route_of(registry).arms == (Arm(3, FULL),)


def test_a_rollback_with_nothing_to_return_to_leaves_the_rollout(registry: Registry) -> None:
    """Neither the route nor the rollout changes when the rollback is refused."""
    registry.rollback("credit", "ada", "")
    rollout = registry.start_rollout("credit", 2, POLICY, "ada", "", "r1")
    with pytest.raises(Conflict, match="no previous version"):
        registry.rollback("credit", "bob", "no")
    assert registry.rollout("r1") == rollout


def test_a_second_rollback_goes_one_further(registry: Registry) -> None:
    """Once the rollout is rolling back, a rollback is one of the route alone."""
    begun(registry)
    registry.rollback("credit", "bob", "no")
    going = registry.rollout("r1")
    assert registry.rollback("credit", "bob", "still not").arms == (Arm(3, FULL),)
    assert registry.rollout("r1") == going


def test_the_salt_lasts_as_long_as_the_rollout(registry: Registry) -> None:
    """Units that have met the candidate meet it again at every later step; then all is new."""
    old = route_of(registry).salt
    rollout, salts = start(registry), []
    for step in (100, 500, 2500):
        rollout = move(registry, rollout, RolloutState.CANARY, Shares(step, 100))
        salts.append(route_of(registry).salt)
    assert len({old, *salts}) == 2
    over = move(registry, rollout, RolloutState.ROLLING_BACK, NOTHING)
    move(registry, over, RolloutState.ROLLED_BACK, NOTHING)
    second = registry.start_rollout("credit", 2, POLICY, "ada", "")
    move(registry, second, RolloutState.CANARY, Shares(500, 100))
    assert route_of(registry).salt not in {old, *salts}


def test_a_change_of_something_else_is_refused(registry: Registry) -> None:
    """A change follows the one before, of the same rollout, and divides traffic as it may."""
    rollout = start(registry)
    after = replace(rollout, number=2, state=RolloutState.CANARY)
    for wrong in (
        replace(after, number=3),
        replace(after, candidate=3),
        replace(after, policy="{}"),
        replace(after, started_by="eve"),
    ):
        with pytest.raises(Conflict, match="no change that follows change 1 of rollout r1"):
            registry.change_rollout(rollout, wrong, "canary", "{}", "weir", Shares(500))
    with pytest.raises(BadInput, match="cannot divide"):
        registry.change_rollout(rollout, after, "canary", "{}", "weir", Shares(FULL))
    with pytest.raises(NotFound, match="no rollout 'r2'"):
        registry.change_rollout(replace(rollout, id="r2"), after, "x", "{}", "weir", NOTHING)
    assert registry.rollout_changes("r1")[1:] == ()


def test_what_is_not_there_is_not_found(registry: Registry) -> None:
    """Neither a rollout, nor its changes, nor those of a model that there is not."""
    for ask in (registry.rollout, registry.rollout_changes):
        with pytest.raises(NotFound, match="no rollout 'r1'"):
            ask("r1")
    with pytest.raises(ModelNotFound):
        registry.rollouts("fraud")


def test_time_does_not_run_backwards_in_a_rollout(registry: Registry, clock: Clock) -> None:
    """A clock that was set back does not make a change older than the one before it."""
    rollout = start(registry)
    clock.now -= timedelta(hours=1)
    canary = move(registry, rollout, RolloutState.CANARY, Shares(500))
    assert canary.at == canary.entered_at == rollout.at
    assert registry.rollback("credit", "bob", "").created_at == rollout.at


def test_a_change_that_cannot_be_written_changes_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what is known of proven versions either."""
    canary = begun(registry)
    known = registry.proven("credit")

    def full(*_: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteStore, "change_rollout", full)
        with pytest.raises(Unavailable):
            move(registry, canary, RolloutState.COMPLETED, Shares(FULL))
    assert registry.proven("credit") == known
    assert registry.rollout("r1") == canary


def test_the_evidence_is_the_latest_that_was_kept(registry: Registry) -> None:
    """It is no change: nothing about it is in the log."""
    rollout = start(registry)
    entries = registry.audit()
    assert registry.evidence("r1") is None
    for text in ("{}", '{"events": 7}'):
        registry.keep_evidence("r1", rollout.number, text)
    assert registry.evidence("r1") == '{"events": 7}'
    with pytest.raises(Conflict):
        registry.keep_evidence("r1", rollout.number + 1, "{}")
    assert registry.audit() == entries


def test_each_change_is_told_once_in_order(registry: Registry, clock: Clock) -> None:
    """For a day; the last word about an active rollout for as long as it is active."""
    first = start(registry)
    canary = move(registry, first, RolloutState.CANARY, Shares(500))

    def untold() -> list[Rollout]:
        return [change.rollout for change in registry.untold_rollout_changes()]

    assert untold() == [first]
    registry.told_rollout_change(first)
    assert untold() == [canary]
    with pytest.raises(Conflict):
        registry.told_rollout_change(first)
    clock.now += timedelta(days=2)
    assert untold() == [canary]
    over = move(registry, canary, RolloutState.FAILED, NOTHING)
    assert untold() == [over]
    registry.told_rollout_change(over)
    assert untold() == []


def _won(registry: Registry, races: int, attempt: Callable[[int], int | None]) -> Counter[int]:
    """How often each change was made, by 32 threads that begin every race at once."""
    ready = Barrier(THREADS)

    def run(thread: int) -> list[int | None]:
        made = []
        for _ in range(races):
            ready.wait()
            made.append(attempt(thread))
        return made

    with ThreadPoolExecutor(THREADS) as threads:
        every = [number for made in threads.map(run, range(THREADS)) for number in made]
    assert registry.verify_audit() is None
    return Counter(number for number in every if number is not None)


SLOW = (pytest.mark.slow, pytest.mark.timeout(600))
RACES = pytest.mark.parametrize("races", [32, pytest.param(1024, marks=SLOW)])


@RACES
def test_a_change_has_one_winner(registry: Registry, races: int) -> None:
    """Of 32 threads that make the same change at once one does, and the log says the same."""
    start(registry)
    entries = len(registry.audit(limit=1000))
    seen = Barrier(THREADS)

    def attempt(thread: int) -> int | None:
        before = registry.rollout("r1")
        seen.wait()
        shares = Shares(1 + (before.number * THREADS + thread) % 9000)
        try:
            return move(registry, before, RolloutState.CANARY, shares).number
        except PreconditionFailed:
            return None

    won = _won(registry, races, attempt)
    assert won == Counter(range(2, races + 2))
    log = Counter(each.resource for each in registry.audit(after=entries, limit=10**6))
    assert log == {"rollouts/r1": races, "models/credit/route": races}
    assert len(registry.rollout_changes("r1")) == races + 1


@RACES
def test_a_promotion_has_one_winner(registry: Registry, races: int) -> None:
    """Of 32 threads that promote at the same generation one does, and the log says the same."""
    entries = len(registry.audit(limit=1000))
    generation = route_of(registry).generation
    seen = Barrier(THREADS)

    def attempt(thread: int) -> int | None:
        before = route_of(registry)
        seen.wait()
        version = 2 if before.stable == 1 else 1
        try:
            why = f"thread {thread}"
            made = registry.promote("credit", version, "ada", why, before.generation)
        except PreconditionFailed:
            return None
        return made.generation

    won = _won(registry, races, attempt)
    assert won == Counter(range(generation + 1, generation + races + 1))
    log = Counter(each.action for each in registry.audit(after=entries, limit=10**6))
    assert log == {"promote": races}
