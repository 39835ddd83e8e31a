"""The registry records every change, refuses what does not fit, and answers what served when."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from configs.errors import (
    BadInput,
    Conflict,
    ModelNotFound,
    NotFound,
    PreconditionFailed,
    Refused,
    StartError,
    TooLarge,
    Unavailable,
    VersionNotFound,
)
from configs.settings import Verify
from registry.card import Card, Decision, Feature, Score, Task
from registry.records import FULL, Arm, Route, ShadowArm
from registry.registry import Registry
from registry.sqlite import SqliteStore
from tests.registry import models

CARD = Card(task=Task.REGRESSION)
START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Verify(model_max_bytes=2**20)


class Clock:
    """Moments one second apart."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The next moment."""
        self.now += timedelta(seconds=1)
        return self.now


def _open(folder: Path) -> Registry:
    salts = iter(range(1, 1000))
    return Registry.open(folder, LIMITS, Clock(), lambda size: next(salts).to_bytes(size, "big"))


def _model(bias: float) -> bytes:
    return models.regressor(bias).SerializeToString()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three versions of one model, verified once for all tests here."""
    folder = tmp_path_factory.mktemp("template") / "data"
    registry = _open(folder)
    for bias in (1.0, 2.0, 3.0):
        registry.register("credit", registry.put_artifact(_model(bias)), CARD, None, "ada")
    registry.close()
    return folder


@pytest.fixture
def registry(template: Path, tmp_path: Path) -> Iterator[Registry]:
    """A registry of its own with three versions of `credit` and no route."""
    shutil.copytree(template, tmp_path / "data")
    registry = _open(tmp_path / "data")
    yield registry
    registry.close()


def test_register_gives_the_next_number_and_says_what_it_filled_in(registry: Registry) -> None:
    """A version holds what the child process found, the completed card, and who brought it."""
    digest = registry.put_artifact(_model(4.0))
    profile = registry.put_artifact(b"profile")
    version, said = registry.register("credit", digest, CARD, profile, "bob")
    assert (version.number, version.digest, version.profile) == (4, digest, profile)
    assert (version.created_by, version.size_bytes) == ("bob", len(_model(4.0)))
    assert version.signature.inputs[0].shape == (-1, 3)
    assert version.card.score == Score(output="y")
    assert any("score" in sentence for sentence in said)
    assert registry.version("credit", 4) == version
    assert [one.number for one in registry.versions("credit")] == [1, 2, 3, 4]


def test_another_model_counts_from_one(registry: Registry) -> None:
    """Numbers belong to a model, and the same file may serve two models."""
    digest = registry.version("credit", 1).digest
    assert registry.register("fraud", digest, CARD, None, "ada")[0].number == 1
    assert registry.models() == ("credit", "fraud")


def test_the_same_file_and_card_again_is_a_conflict(registry: Registry) -> None:
    """The version that exists is named; another card makes another version."""
    digest = registry.version("credit", 2).digest
    with pytest.raises(Conflict, match="version 2 of 'credit'"):
        registry.register("credit", digest, CARD, None, "ada")
    other = CARD.model_copy(update={"change": "same-behaviour"})
    assert registry.register("credit", digest, other, None, "ada")[0].number == 4


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 65, "a\n"])
def test_a_name_that_is_not_allowed_is_refused(registry: Registry, name: str) -> None:
    """Names are safe in paths, headers and metrics."""
    with pytest.raises(BadInput, match="cannot be the name"):
        registry.register(name, registry.version("credit", 1).digest, CARD, None, "ada")


def test_what_cannot_be_served_is_not_registered(registry: Registry) -> None:
    """A bad file, an unfit card and an unknown digest leave no trace in the log."""
    before = registry.audit()
    digest = registry.version("credit", 1).digest
    unfit = CARD.model_copy(update={"features": (Feature(name="a", input="z"),)})
    with pytest.raises(Refused, match="no input 'z'"):
        registry.register("credit", digest, unfit, None, "ada")
    with pytest.raises(Refused, match="more than one task"):
        registry.register("credit", digest, None, None, "ada")
    with pytest.raises(Refused, match="pickle"):
        registry.register("credit", registry.put_artifact(b"\x80\x04"), CARD, None, "ada")
    with pytest.raises(NotFound):
        registry.register("credit", "sha256:" + "0" * 64, CARD, None, "ada")
    with pytest.raises(NotFound):
        registry.register("credit", digest, CARD, "sha256:" + "0" * 64, "ada")
    assert registry.audit() == before


def test_a_file_swapped_before_registration_is_refused(registry: Registry) -> None:
    """What is verified is what was put."""
    digest = registry.put_artifact(_model(5.0))
    path = registry.artifact_path(digest)
    path.chmod(0o644)
    path.write_bytes(_model(6.0))
    with pytest.raises(Refused, match="changed on disk"):
        registry.register("credit", digest, CARD, None, "ada")


def test_artifacts_come_back_and_have_a_cap(registry: Registry) -> None:
    """Files are kept by digest, up to the size that a model may have."""
    digest = registry.put_artifact_stream([b"ab", b"c"])
    assert registry.read_artifact(digest) == b"abc"
    assert digest == registry.put_artifact(b"abc")
    with pytest.raises(TooLarge):
        registry.put_artifact(bytes(2**20 + 1))


def test_unknown_names_get_a_suggestion(registry: Registry) -> None:
    """Somebody who mistypes is told what there is."""
    for ask in (registry.versions, registry.route):
        with pytest.raises(ModelNotFound, match=r"'credti'.* Did you mean 'credit'\?"):
            ask("credti")
    with pytest.raises(VersionNotFound, match="no version 9; there is 1, 2, 3"):
        registry.version("credit", 9)


def test_the_first_route_may_be_set_or_promoted(registry: Registry) -> None:
    """A new model needs no reason and no second version."""
    assert registry.route("credit") is None
    route = registry.promote("credit", 2, "ada", "")
    assert (route.generation, route.stable, route.arms) == (1, 2, (Arm(2, FULL),))
    registry.register("fraud", registry.version("credit", 1).digest, CARD, None, "ada")
    route = registry.set_route("fraud", {1: 100}, None, "ada", "", if_generation=0)
    assert (route.generation, registry.route("fraud")) == (1, route)


def test_a_route_over_different_inputs_is_refused(registry: Registry) -> None:
    """A version with other inputs may take all of the traffic, but not share it."""
    other = registry.put_artifact(models.classifier().SerializeToString())
    card = Card(task=Task.BINARY, decision=Decision(threshold=0.5))
    number = registry.register("credit", other, card, None, "ada")[0].number
    with pytest.raises(Conflict, match="take different inputs"):
        registry.set_route("credit", {1: 90, number: 10}, None, "ada", "")
    assert registry.set_route("credit", {number: 100}, None, "ada", "").stable == number


def test_a_story_of_changes(registry: Registry) -> None:
    """Split, shadow, promote and roll back: each is a generation with its author and reason."""
    registry.set_route("credit", {1: 100}, None, "ada", "first")
    split = registry.set_route("credit", {1: 95, 2: 5}, (3, 50), "ada", "canary", if_generation=1)
    assert (split.arms, split.shadow) == ((Arm(1, 9500), Arm(2, 500)), ShadowArm(3, 5000))
    promoted = registry.promote("credit", 2, "bob", "better", if_generation=2)
    assert (promoted.stable, promoted.previous, promoted.created_by) == (2, 1, "bob")
    back = registry.rollback("credit", "eve", "worse", if_generation=3)
    assert (back.generation, back.arms, back.reason) == (4, (Arm(1, FULL),), "worse")
    changes = [(entry.action, entry.actor, entry.reason) for entry in registry.audit(after=3)]
    assert changes == [
        ("set-route", "ada", "first"),
        ("set-route", "ada", "canary"),
        ("promote", "bob", "better"),
        ("rollback", "eve", "worse"),
    ]
    assert registry.audit(after=6)[0].before == registry.audit(after=5)[0].after
    assert registry.verify_audit() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda registry: registry.set_route("credit", {2: 100}, None, "ada", "", 7),
        lambda registry: registry.promote("credit", 2, "ada", "why", 7),
        lambda registry: registry.rollback("credit", "ada", "why", 7),
    ],
)
def test_a_change_to_another_generation_is_refused(
    registry: Registry, change: Callable[[Registry], object]
) -> None:
    """Who has not seen the latest route cannot overwrite it."""
    registry.set_route("credit", {1: 100}, None, "ada", "")
    with pytest.raises(PreconditionFailed, match="at generation 1, not 7"):
        change(registry)
    assert registry.table().models["credit"].route.generation == 1


def test_a_promotion_needs_a_reason_once_there_is_a_route(registry: Registry) -> None:
    """Blanks are no reason."""
    registry.set_route("credit", {1: 100}, None, "ada", "")
    with pytest.raises(BadInput, match="needs a reason"):
        registry.promote("credit", 2, "ada", "  ")


def test_there_is_nothing_to_roll_back_to_at_first(registry: Registry) -> None:
    """Without a route or a previous version a rollback is a conflict."""
    with pytest.raises(Conflict, match="no route yet"):
        registry.rollback("credit", "ada", "")
    registry.set_route("credit", {1: 100}, None, "ada", "")
    with pytest.raises(Conflict, match="no previous version"):
        registry.rollback("credit", "ada", "")


def test_a_model_that_was_never_served_is_loaded_with_its_latest_version(
    registry: Registry,
) -> None:
    """The first route gives the latest version all of the traffic."""
    loaded = registry.load("credit", "ada", "wanted")
    assert (loaded.generation, loaded.stable, loaded.arms) == (1, 3, (Arm(3, FULL),))
    last = registry.audit(after=3)[0]
    assert (last.action, last.resource, last.before) == ("load", "models/credit/route", "")


def test_unload_and_load(registry: Registry) -> None:
    """An unloaded model leaves the table and keeps its history; it comes back as it was."""
    split = registry.set_route("credit", {1: 95, 2: 5}, (3, 50), "ada", "canary")
    away = registry.unload("credit", "bob", "not needed")
    assert (away.served, away.generation, away.arms) == (False, 2, split.arms)
    assert dict(registry.table().models) == {}
    assert registry.table().generation == 5
    assert registry.route("credit") == away
    assert registry.served_at("credit", datetime.fromisoformat(away.created_at)) == away
    back = registry.load("credit", "eve", "needed")
    assert (back.served, back.generation, back.arms) == (True, 3, split.arms)
    assert (back.shadow, back.salt) == (split.shadow, split.salt)
    assert registry.table().models["credit"].route == back
    log = [(entry.action, entry.actor, entry.reason) for entry in registry.audit(after=4)]
    assert log == [("unload", "bob", "not needed"), ("load", "eve", "needed")]
    assert '"served":false' in registry.audit(after=4)[0].after
    assert registry.verify_audit() is None


def test_loading_what_is_served_changes_nothing(registry: Registry) -> None:
    """The route is given as it is, and no entry is written."""
    route = registry.set_route("credit", {1: 100}, None, "ada", "")
    assert registry.load("credit", "bob", "again") == route
    assert len(registry.audit()) == 4


def test_only_what_is_served_can_be_unloaded(registry: Registry) -> None:
    """A model without a route, one that is unloaded, and one that does not exist."""
    with pytest.raises(Conflict, match="no route yet"):
        registry.unload("credit", "ada", "")
    registry.load("credit", "ada", "")
    registry.unload("credit", "ada", "")
    with pytest.raises(Conflict, match="unloaded already"):
        registry.unload("credit", "ada", "")
    for change in (registry.unload, registry.load):
        with pytest.raises(ModelNotFound):
            change("fraud", "ada", "")


def test_what_served_at_a_moment_is_known(registry: Registry) -> None:
    """Before the first route nothing; between two changes the earlier one, in any time zone."""
    first = registry.set_route("credit", {1: 100}, None, "ada", "")
    second = registry.set_route("credit", {2: 100}, None, "ada", "")
    begun = datetime.fromisoformat(first.created_at)
    almost = datetime.fromisoformat(second.created_at) - timedelta(microseconds=1)
    away = timezone(timedelta(hours=9))
    assert registry.served_at("credit", begun - timedelta(seconds=1)) is None
    assert registry.served_at("credit", begun) == first
    assert registry.served_at("credit", almost.astimezone(away)) == first
    assert registry.served_at("credit", almost + timedelta(days=1)) == second
    with pytest.raises(BadInput, match="must have a zone"):
        registry.served_at("credit", begun.replace(tzinfo=None))
    with pytest.raises(BadInput, match="beyond"):
        registry.served_at("credit", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))))
    with pytest.raises(ModelNotFound):
        registry.served_at("fraud", begun)


def test_the_table_grows_with_every_change_and_holds_the_live_versions(
    registry: Registry,
) -> None:
    """Replicas get the routes, and of each route the versions that must be ready."""
    empty = registry.table()
    assert (empty.generation, dict(empty.models)) == (3, {})
    assert dict(empty.registered) == {"credit": (1, 2, 3)}
    registry.set_route("credit", {1: 95, 2: 5}, None, "ada", "")
    table = registry.table()
    assert table.generation == 4
    assert table.models["credit"].route == registry.route("credit")
    assert list(table.models["credit"].versions) == [1, 2]
    registry.promote("credit", 3, "ada", "why")
    assert list(registry.table().models["credit"].versions) == [1, 3]


def test_the_table_says_who_is_proven(registry: Registry, tmp_path: Path) -> None:
    """It is the same after every change, whether the change was seen or the history is read."""
    copies = itertools.count()

    def known() -> frozenset[int]:
        shutil.copytree(tmp_path / "data", copy := tmp_path / f"copy-{next(copies)}")
        with closing(_open(copy)) as again:
            assert again.table() == registry.table()
            assert again.proven("credit") == registry.proven("credit")
        return registry.table().models["credit"].proven

    registry.set_route("credit", {1: 60, 2: 40}, None, "ada", "")
    assert known() == frozenset()
    registry.promote("credit", 2, "ada", "better")
    registry.promote("credit", 3, "ada", "better still")
    assert known() == {2, 3}
    registry.set_route("credit", {3: 90, 2: 10}, None, "ada", "")
    assert known() == {2, 3}
    registry.rollback("credit", "ada", "it was not")
    assert known() == {3}


def test_the_history_of_a_route_is_read_once(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table costs the same however many generations there were; a refused change adds none."""
    read: list[str] = []
    generations = SqliteStore.generations

    def noted(store: SqliteStore, model: str) -> tuple[Route, ...]:
        read.append(model)
        return generations(store, model)

    monkeypatch.setattr(SqliteStore, "generations", noted)
    registry.set_route("credit", {1: 50, 2: 50}, None, "ada", "")

    def full(*_: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteStore, "add_route", full)
        with pytest.raises(Unavailable):
            registry.promote("credit", 1, "ada", "why")
    assert registry.table().models["credit"].proven == frozenset()
    registry.promote("credit", 1, "ada", "why")
    assert registry.table().models["credit"].proven == registry.proven("credit") == {1}
    assert read == ["credit"]


def test_who_is_proven_is_asked_of_models_that_there_are(registry: Registry) -> None:
    """A model without a route has nobody who is; one that is not registered is not found."""
    assert registry.proven("credit") == frozenset()
    with pytest.raises(ModelNotFound):
        registry.proven("fraud")


def test_an_edited_log_is_noticed(registry: Registry, tmp_path: Path) -> None:
    """Who goes round the triggers and edits an entry is found out, with its sequence."""
    db = registry._store._db  # type: ignore[attr-defined]
    db.execute("DROP TRIGGER audit_stays")
    db.execute("UPDATE audit SET actor = 'eve' WHERE sequence = 2")
    assert registry.verify_audit() == 2


def test_a_second_owner_is_refused_and_a_crash_leaves_no_half_files(
    registry: Registry, tmp_path: Path
) -> None:
    """One folder has one registry; the next one sweeps what a crash left."""
    with pytest.raises(StartError):
        _open(tmp_path / "data")
    half = registry.artifact_path("sha256:" + "0" * 64).with_name("0.partial")
    half.write_bytes(b"ha")
    registry.close()
    _open(tmp_path / "data").close()
    assert not half.exists()


def test_threads_take_turns(registry: Registry) -> None:
    """Changes made at once by many threads are all recorded, one after the other."""
    registry.set_route("credit", {1: 100}, None, "ada", "")

    def change(number: int) -> int:
        weights = {1: 50.0 + number, 2: 50.0 - number}
        return registry.set_route("credit", weights, None, f"t{number}", "").generation

    with ThreadPoolExecutor(8) as threads:
        generations = list(threads.map(change, range(40)))
    assert sorted(generations) == list(range(2, 42))
    assert registry.verify_audit() is None


def test_closing_twice_is_harmless(registry: Registry) -> None:
    """The second close must not close a file that somebody else has opened since."""
    registry.close()
    with Path("/dev/null").open("rb") as other:
        registry.close()
        assert not other.closed
        assert other.read() == b""


def test_a_data_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    """A file in the place of the folder stops the start with a sentence."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StartError, match="cannot be the data folder: File exists"):
        _open(tmp_path / "data")
