"""What every store must do, to be run on each of them: subclass `StoreConformance`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from configs.errors import Conflict, StartError
from registry.alarms import AlarmState, Finding, acknowledged, closed, silenced
from registry.audit import next_entry, verify_chain
from registry.card import Card, Task
from registry.keys import AccessRole, ApiKey
from registry.records import FULL, Arm, AuditEntry, Route, ShadowArm, Version
from registry.rollouts import Hold, RolloutState
from registry.routing import Change
from registry.signature import Datatype, Signature, TensorSpec
from registry.store import Store
from tests.registry.alarms import KEY, alarm, minute, why
from tests.registry.rollouts import change, judged, rollout


def moment(second: int) -> str:
    """A moment as the registry writes it."""
    return f"2026-01-01T00:00:{second:02}.000000+00:00"


def version(number: int, model: str = "credit") -> Version:
    """A version with something in every field."""
    spec = TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 3))
    return Version(
        model=model,
        number=number,
        digest="sha256:" + "a" * 64,
        signature=Signature(inputs=(spec,), outputs=(spec,)),
        card=Card(task=Task.REGRESSION),
        profile="sha256:" + "b" * 64,
        size_bytes=123,
        created_by="ada",
        created_at=moment(number),
    )


def route(generation: int, model: str = "credit") -> Route:
    """A route with something in every field."""
    return Route(
        model=model,
        generation=generation,
        stable=1,
        arms=(Arm(1, FULL - 500), Arm(2, 500)),
        salt=b"\x00salt",
        shadow=ShadowArm(3, 1000),
        previous=3,
        created_by="ada",
        created_at=moment(10 * generation),
        reason="because",
    )


def key(number: int) -> ApiKey:
    """A key with something in every field, but not revoked."""
    return ApiKey(
        id=f"{number:08x}",
        name=f"key-{number}",
        role=AccessRole.DEPLOYER,
        digest="c" * 64,
        rate_per_s=2.5,
        created_by="ada",
        created_at=moment(number),
        expires_at=moment(50),
    )


def entry(store: Store) -> AuditEntry:
    """The entry that a store expects next."""
    why = Change(actor="ada", at=moment(0), reason="because")
    return next_entry(store.last_entry(), "change", "models/credit", (None, {}), why)


def filled(store: Store, first: int = 1, last: int = 3) -> Store:
    """The store with some more versions of one model."""
    for number in range(first, last + 1):
        store.add_version(version(number), entry(store))
    return store


class StoreConformance:
    """The promises of `Store`."""

    def open(self, folder: Path) -> Store:
        """A store that keeps its records in a folder."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """A new store."""
        return self.open(tmp_path)

    def test_a_new_store_is_empty(self, store: Store) -> None:
        """Nothing is known at first."""
        assert (store.models(), store.versions("credit"), store.route("credit")) == ((), (), None)
        assert (store.last_entry(), store.audit(0, 10)) == (None, ())
        assert (store.keys(), dict(store.numbers())) == ((), {})
        assert (store.rollouts(None, active_only=False), store.rollout("r1")) == ((), None)
        assert (store.rollout_changes("r1"), store.evidence("r1")) == ((), None)

    def test_what_is_added_comes_back_equal(self, store: Store) -> None:
        """Every field of versions, routes and entries survives."""
        filled(store)
        store.add_version(version(1, "a"), entry(store))
        last = entry(store)
        store.add_route(route(1), last)
        assert store.models() == ("a", "credit")
        assert store.versions("credit") == (version(1), version(2), version(3))
        assert dict(store.numbers()) == {"a": (1,), "credit": (1, 2, 3)}
        assert store.route("credit") == route(1)
        assert store.last_entry() == last

    def test_an_entry_may_stand_alone(self, store: Store) -> None:
        """It is in the chain as any other, and the last about its resource is found."""
        filled(store)
        why = Change(actor="weir", at=moment(4), reason="the first start")
        alone = next_entry(store.last_entry(), "configure", "configuration", (None, {}), why)

        store.add_entry(alone)
        filled(store, 4, 4)

        assert store.last_entry("configuration") == alone
        assert store.last_entry("nothing") is None
        assert [each.action for each in store.audit(3, 9)] == ["configure", "change"]
        with pytest.raises(Conflict, match="does not follow"):
            store.add_entry(alone)

    def test_a_route_without_shadow_and_previous_comes_back_equal(self, store: Store) -> None:
        """What may be missing stays missing."""
        filled(store)
        bare = replace(route(1), shadow=None, previous=None)
        store.add_route(bare, entry(store))
        assert store.route("credit") == bare

    @pytest.mark.parametrize("served", [True, False])
    def test_whether_a_route_is_served_comes_back(self, store: Store, served: bool) -> None:
        """A model that was unloaded is still unloaded when it is read."""
        filled(store)
        store.add_route(replace(route(1), served=served), entry(store))
        assert store.route("credit") == replace(route(1), served=served)

    @pytest.mark.parametrize("objective_s", [None, 0.125])
    def test_what_a_route_is_judged_by_comes_back(
        self, store: Store, objective_s: float | None
    ) -> None:
        """Every field survives, in the latest generation and in all of them."""
        filled(store)
        store.add_rollout(change(rollout("r1")), entry(store))
        wanted = replace(route(1), judged=replace(judged("r1"), objective_s=objective_s))
        store.add_route(wanted, entry(store))
        assert store.route("credit") == wanted
        assert store.generations("credit") == (wanted,)

    def test_keys_come_back_equal_and_in_order(self, store: Store) -> None:
        """Every field survives, also where it may be missing; the oldest key is first."""
        bare = replace(key(1), rate_per_s=None, expires_at=None)
        store.add_key(key(2), entry(store))
        store.add_key(bare, entry(store))
        assert store.keys() == (bare, key(2))

    def test_a_revoked_key_says_when(self, store: Store) -> None:
        """The key stays, with the moment at which it ended."""
        store.add_key(key(1), entry(store))
        store.add_key(key(2), entry(store))
        last = entry(store)
        store.revoke_key(key(2).id, moment(9), last)
        assert store.keys() == (key(1), replace(key(2), revoked_at=moment(9)))
        assert store.last_entry() == last

    def test_what_cannot_happen_to_a_key_leaves_no_entry(self, store: Store) -> None:
        """An id is given once, and a key that there is is revoked once."""
        store.add_key(key(1), entry(store))
        store.revoke_key(key(1).id, moment(9), entry(store))
        with pytest.raises(Conflict):
            store.add_key(key(1), entry(store))
        with pytest.raises(Conflict):
            store.revoke_key(key(1).id, moment(10), entry(store))
        with pytest.raises(Conflict):
            store.revoke_key(key(2).id, moment(10), entry(store))
        assert store.keys() == (replace(key(1), revoked_at=moment(9)),)
        assert len(store.audit(0, 10)) == 2

    def test_alarms_come_back_equal(self, store: Store) -> None:
        """Every field survives each change, also where it may be missing; the oldest is first."""
        filled(store)
        bare = replace(alarm("a2", at=1), finding=Finding(None))
        store.add_alarm(bare, entry(store))
        store.add_alarm(alarm("a1", KEY._replace(subject="age")), entry(store))
        quiet = silenced(bare, minute(50), why(3))
        last = entry(store)
        store.change_alarm(quiet, last)
        every = tuple(AlarmState)
        assert store.alarms(None, every) == (alarm("a1", KEY._replace(subject="age")), quiet)
        assert (store.alarm("a2"), store.alarm("a3")) == (quiet, None)
        assert store.alarms("credit", (AlarmState.SILENCED,)) == (quiet,)
        assert store.alarms("fraud", every) == store.alarms(None, ()) == ()
        assert store.last_entry() == last

    def test_the_last_alarm_of_a_key_is_the_one_that_was_raised_last(self, store: Store) -> None:
        """As it is now; any other key has none."""
        filled(store)
        over = closed(alarm("a1"), True, why(2))
        store.add_alarm(alarm("a1"), entry(store))
        store.change_alarm(over, entry(store))
        assert store.last_alarm(KEY) == over
        store.add_alarm(alarm("a2", at=5), entry(store))
        assert store.last_alarm(KEY) == alarm("a2", at=5)
        assert store.last_alarm(KEY._replace(arming=2)) is None

    def test_what_cannot_happen_to_an_alarm_leaves_no_entry(self, store: Store) -> None:
        """It is raised once, of a version that exists, and changes follow one another."""
        filled(store)
        store.add_alarm(alarm("a1"), entry(store))
        taken = acknowledged(alarm("a1"), why(2))
        for wrong in (alarm("a1", at=5), alarm("a2"), alarm("a3", KEY._replace(version=9))):
            with pytest.raises(Conflict):
                store.add_alarm(wrong, entry(store))
        for skipped in (alarm("a1"), replace(taken, number=3), acknowledged(alarm("a9"), why(2))):
            with pytest.raises(Conflict):
                store.change_alarm(skipped, entry(store))
        assert store.alarms(None, tuple(AlarmState)) == (alarm("a1"),)
        assert len(store.audit(0, 10)) == 4

    def test_what_is_to_be_delivered_is_the_first_change_that_was_not(self, store: Store) -> None:
        """Of each alarm, since a moment; before it the last word about an open one only."""
        filled(store)
        taken, over = acknowledged(alarm("a1"), why(2)), closed(alarm("a2", at=2), True, why(4))
        for first, then in ((alarm("a1"), taken), (alarm("a2", at=2), over)):
            store.add_alarm(first, entry(store))
            store.change_alarm(then, entry(store))
        assert store.untold(minute(0)) == (alarm("a1"), alarm("a2", at=2))
        store.add_delivery("a1", 1, minute(4))
        assert store.untold(minute(0)) == (taken, alarm("a2", at=2))
        assert store.untold(minute(59)) == (taken,)
        with pytest.raises(Conflict):
            store.add_delivery("a1", 1, minute(5))

    def test_rollouts_come_back_equal(self, store: Store) -> None:
        """Every field survives each change, also where it may be missing; the oldest is first."""
        filled(store)
        store.add_version(version(1, "a"), entry(store))
        store.add_version(version(2, "a"), entry(store))
        first, later = rollout("r1", at=5), rollout("r2", "a", at=1)
        for each in (first, later):
            store.add_rollout(change(each), entry(store))
        held = replace(
            first,
            number=2,
            state=RolloutState.HELD,
            step=3,
            entered_at=minute(7),
            by="bob",
            at=minute(8),
            reason="wait",
            hold=Hold.APPROVAL,
            held_from=RolloutState.CANARY,
            promoted_by="eve",
            approved=("canary", "promotion"),
            objective_s=0.25,
        )
        last = entry(store)
        store.change_rollout(change(held, "hold", '{"found": 1}'), last)
        assert store.last_entry() == last
        assert (store.rollout("r1"), store.rollout("r2")) == (held, later)
        assert store.rollouts(None, active_only=False) == (later, held)
        assert store.rollouts("credit", active_only=True) == (held,)
        assert store.rollouts("fraud", active_only=False) == ()
        changes = (change(first), change(held, "hold", '{"found": 1}'))
        assert store.rollout_changes("r1") == changes

    def test_a_model_has_one_active_rollout(self, store: Store) -> None:
        """Another may begin once it is over; what is over is not taken up beside it."""
        filled(store)
        first = rollout("r1")
        store.add_rollout(change(first), entry(store))
        with pytest.raises(Conflict, match="one active rollout"):
            store.add_rollout(change(rollout("r2", at=3)), entry(store))
        over = replace(first, number=2, state=RolloutState.COMPLETED)
        store.change_rollout(change(over), entry(store))
        assert store.rollouts("credit", active_only=True) == ()
        second = rollout("r2", at=3)
        store.add_rollout(change(second), entry(store))
        back = replace(over, number=3, state=RolloutState.ROLLING_BACK)
        with pytest.raises(Conflict, match="one active rollout"):
            store.change_rollout(change(back), entry(store))
        assert store.rollouts("credit", active_only=False) == (over, second)
        assert len(store.audit(0, 10)) == 6

    @pytest.mark.parametrize("state", list(RolloutState))
    def test_a_rollout_is_active_until_it_is_over(self, store: Store, state: RolloutState) -> None:
        """The store and the states agree on which states are ends."""
        filled(store)
        store.add_rollout(change(rollout("r1")), entry(store))
        found = replace(rollout("r1"), number=2, state=state)
        if state is RolloutState.HELD:
            found = replace(found, hold=Hold.PAUSED, held_from=RolloutState.CANARY)
        store.change_rollout(change(found), entry(store))
        active = () if state.over else (found,)
        assert store.rollouts("credit", active_only=True) == active

    def test_what_cannot_happen_to_a_rollout_leaves_no_entry(self, store: Store) -> None:
        """It begins once, between versions that there are, and changes follow one another."""
        filled(store)
        first = rollout("r1")
        store.add_rollout(change(first), entry(store))
        for wrong in (first, replace(rollout("r3"), candidate=9), rollout("r4", "fraud")):
            with pytest.raises(Conflict):
                store.add_rollout(change(wrong), entry(store))
        for skipped in (first, replace(first, number=3), replace(rollout("r9"), number=2)):
            with pytest.raises(Conflict):
                store.change_rollout(change(skipped), entry(store))
        assert store.rollout_changes("r1") == (change(first),)
        assert len(store.audit(0, 10)) == 4

    def test_a_route_is_kept_with_the_change_of_its_rollout(self, store: Store) -> None:
        """Both and both entries, or nothing, whichever of them is refused."""
        filled(store)
        first = rollout("r1")
        canary = replace(first, number=2, state=RolloutState.CANARY)
        store.add_route(route(1), entry(store))
        store.add_rollout(change(first), entry(store))

        def entries() -> tuple[AuditEntry, AuditEntry]:
            one = entry(store)
            return one, next_entry(one, "set-route", "models/credit/route", (None, {}), why(1))

        wanted = replace(route(2), judged=judged("r1"))
        for moved, routed in (
            (replace(canary, number=3), wanted),
            (canary, replace(wanted, generation=1)),
            (canary, replace(wanted, judged=judged("r2"))),
            (canary, replace(wanted, judged=replace(judged("r1"), candidate=3))),
            (replace(canary, state=RolloutState.FAILED), wanted),
        ):
            one, two = entries()
            with pytest.raises(Conflict):
                store.change_rollout(change(moved), one, (routed, two))
        one, two = entries()
        with pytest.raises(Conflict):
            store.change_rollout(change(canary), one, (wanted, one))
        assert (store.rollout("r1"), store.route("credit")) == (first, route(1))
        assert len(store.audit(0, 10)) == 5
        store.change_rollout(change(canary), one, (wanted, two))
        assert (store.rollout("r1"), store.route("credit")) == (canary, wanted)
        assert store.generations("credit") == (route(1), wanted)
        assert store.audit(5, 10) == (one, two)
        with pytest.raises(Conflict):
            store.add_route(replace(route(3), judged=judged("r1"), stable=2), entry(store))

    def test_the_evidence_of_a_rollout_is_the_latest(self, store: Store) -> None:
        """It takes the place of what was there, has no entry, and is of a change that there is."""
        filled(store)
        store.add_rollout(change(rollout("r1")), entry(store))
        assert store.evidence("r1") is None
        for text in ("{}", '{"events": 3}'):
            store.keep_evidence("r1", 1, minute(3), text)
        for unknown in (("r1", 2), ("r2", 1)):
            with pytest.raises(Conflict):
                store.keep_evidence(*unknown, minute(3), "{}")
        assert store.evidence("r1") == '{"events": 3}'
        assert len(store.audit(0, 10)) == 4

    def test_changes_of_rollouts_are_delivered_in_order(self, store: Store) -> None:
        """Of each the first that was not; before a moment the last word on an active one only."""
        filled(store)
        store.add_version(version(1, "a"), entry(store))
        store.add_version(version(2, "a"), entry(store))
        first, other = rollout("r1"), rollout("r2", "a", at=2)
        canary = replace(first, number=2, state=RolloutState.CANARY, at=minute(3))
        over = replace(other, number=2, state=RolloutState.FAILED, at=minute(4))
        for begun, then in ((first, canary), (other, over)):
            store.add_rollout(change(begun), entry(store))
            store.change_rollout(change(then, "move"), entry(store))
        assert store.untold_changes(minute(0)) == (change(first), change(other))
        store.add_rollout_delivery("r1", 1, minute(4))
        assert store.untold_changes(minute(0)) == (change(other), change(canary, "move"))
        assert store.untold_changes(minute(4)) == (change(canary, "move"), change(over, "move"))
        assert store.untold_changes(minute(59)) == (change(canary, "move"),)
        with pytest.raises(Conflict):
            store.add_rollout_delivery("r1", 1, minute(5))

    def test_all_is_there_after_opening_again(self, tmp_path: Path) -> None:
        """Records outlive the process that wrote them."""
        first = filled(self.open(tmp_path))
        first.add_route(route(1), entry(first))
        first.add_key(key(1), entry(first))
        first.revoke_key(key(1).id, moment(9), entry(first))
        first.add_alarm(alarm(), entry(first))
        first.add_delivery("a1", 1, minute(4))
        first.add_rollout(change(rollout("r1")), entry(first))
        first.add_route(replace(route(2), judged=judged("r1")), entry(first))
        first.keep_evidence("r1", 1, minute(5), "{}")
        first.add_rollout_delivery("r1", 1, minute(6))
        log = first.audit(0, 20)
        first.close()
        second = self.open(tmp_path)
        latest = replace(route(2), judged=judged("r1"))
        assert (second.versions("credit")[2], second.route("credit")) == (version(3), latest)
        assert (second.rollout("r1"), second.evidence("r1")) == (rollout("r1"), "{}")
        assert second.untold_changes(minute(0)) == ()
        assert second.keys() == (replace(key(1), revoked_at=moment(9)),)
        assert (second.alarm("a1"), second.untold(minute(0))) == (alarm(), ())
        assert second.audit(0, 20) == log
        assert verify_chain(log) is None
        second.close()

    def test_every_generation_of_a_route_is_kept(self, store: Store) -> None:
        """A moment finds the generation in force; a moment before the first finds none."""
        filled(store)
        for generation in (1, 2, 3):
            store.add_route(route(generation), entry(store))
        found = [store.route("credit", moment(second)) for second in (9, 10, 25, 30, 59)]
        assert found == [None, route(1), route(2), route(3), route(3)]
        assert store.route("credit") == route(3)

    def test_the_generations_of_a_route_come_in_order(self, store: Store) -> None:
        """All of one model, the oldest first, each with its own arms; none without a route."""
        filled(store)
        store.add_version(version(1, "fraud"), entry(store))
        bare = replace(route(1, "fraud"), arms=(Arm(1, FULL),), shadow=None, previous=None)
        made = [route(1), replace(route(2), arms=(Arm(3, FULL),), served=False), route(3)]
        for each in (*made, bare):
            store.add_route(each, entry(store))
        assert store.generations("credit") == tuple(made)
        assert store.generations("fraud") == (bare,)
        assert store.generations("other") == ()

    def test_the_log_is_read_in_pages(self, store: Store) -> None:
        """`after` and `limit` cut the log without gaps."""
        filled(store)
        assert [one.sequence for one in store.audit(1, 10)] == [2, 3]
        assert [one.sequence for one in store.audit(0, 2)] == [1, 2]
        assert store.audit(3, 10) == ()

    def test_a_record_that_exists_is_a_conflict_and_leaves_no_entry(self, store: Store) -> None:
        """The record and its entry stand or fall together."""
        filled(store)
        store.add_route(route(1), entry(store))
        with pytest.raises(Conflict):
            store.add_version(version(1), entry(store))
        with pytest.raises(Conflict):
            store.add_route(route(1), entry(store))
        assert len(store.audit(0, 10)) == 4

    def test_a_route_can_only_name_versions_that_exist(self, store: Store) -> None:
        """Arms, stable, shadow and previous all refer to versions of that model."""
        filled(store)
        for wrong in (
            replace(route(1), arms=(Arm(1, 5000), Arm(9, 5000))),
            replace(route(1), stable=9),
            replace(route(1), shadow=ShadowArm(9, 1)),
            replace(route(1), previous=9),
            route(1, "fraud"),
        ):
            with pytest.raises(Conflict):
                store.add_route(wrong, entry(store))
        assert (store.route("credit"), len(store.audit(0, 10))) == (None, 3)

    def test_an_entry_that_does_not_follow_the_last_is_a_conflict(self, store: Store) -> None:
        """The log cannot fork: an entry made from an older end is refused, with its record."""
        stale = entry(store)
        filled(store, last=1)
        for wrong in (stale, replace(entry(store), previous_hash="f" * 64)):
            with pytest.raises(Conflict):
                store.add_version(version(2), wrong)
        assert store.versions("credit") == (version(1),)

    def test_a_second_owner_is_refused_at_once(self, tmp_path: Path) -> None:
        """One folder has one owner; when it is closed, the next may have it."""
        first = self.open(tmp_path)
        with pytest.raises(StartError):
            self.open(tmp_path)
        first.close()
        self.open(tmp_path).close()
