"""Labels alone bring a version back, by what they say of units of both arms, each counted once."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import BadInput, Unavailable
from configs.policy import Metric
from configs.settings import Labels, Verify
from monitors.labels.assigned import Assigned, LabelledUnits
from monitors.labels.book import LabelBook
from monitors.labels.message import Awaited
from monitors.stats.paired_losses import Losses
from registry.card import Card, Decision, Label, Score, Task
from registry.records import Role
from registry.registry import Registry
from registry.rollouts import RolloutState
from serve.control.reports import Reports, from_json, since, to_json
from serve.recorder.samples import Origin, Sample, blocks
from serve.rollout.commands import Command
from serve.rollout.counting import RolloutCount
from serve.rollout.labelled import labels_report
from serve.rollout.pairing import Pair
from serve.rollout.service import Start
from serve.rollout.tallies import JudgedArm, Report, Tally, Times
from serve.rollout.units import UNKEYED, Share
from tests.registry.models import regressor
from tests.serve.rollout.conducting import Clock, Stand
from tests.serve.versions import MODEL, REGRESSOR

CARD = Card(
    task=Task.BINARY,
    score=Score(output="y"),
    decision=Decision(threshold=0.5),
    label=Label(type="boolean"),
)
QUALITY: dict[str, Any] = {
    "min_units": 10,
    "shadow": {"fraction": 0.0},
    "guardrails": [{"metric": "quality_loss", "margin_abs": 0.2}],
}
PAIRED: dict[str, Any] = {
    "shadow": {"fraction": 1.0, "min_pairs": 0},
    "guardrails": [{"metric": "shadow_loss", "margin_abs": 0.1}],
}
AWAITED = Awaited(CARD.label or Label())
LIMITS = Verify(model_max_bytes=2**20)


class Truth:
    """Requests of a judged route, what is recorded of them, and the labels that come for them."""

    def __init__(self, stand: Stand, folder: Path) -> None:
        self._stand = stand
        self._folder = folder
        self._asked = 0
        self.book = LabelBook(folder, Labels())

    def restart(self) -> None:
        """Open the file of labels anew."""
        self.book.close()
        self.book = LabelBook(self._folder, Labels())

    def predict(
        self,
        units: dict[JudgedArm, int],
        wrong: dict[JudgedArm, float],
        generation: int | None = None,
    ) -> None:
        """Have units answered, each once, and labelled; a share of the answers is wrong."""
        count = RolloutCount(self._stand.rollout.id, Share)
        stretch = count.stretch(generation or self._stand.route.generation)
        labels = []
        for arm, number in units.items():
            version = 2 if arm is JudgedArm.CANDIDATE else 1
            origin = Origin(MODEL, version, Role.STABLE, REGRESSOR, labelled=True)
            samples = []
            for place in range(number):
                self._asked += 1
                prediction_id = f"{self._asked:032x}"
                sighting = stretch[arm].see(None)
                unit = stretch[arm].assigned(sighting)
                y = np.ones((1, 1), np.float32)
                samples.append(Sample(origin, prediction_id, 1, (y,), (y,), {}, None, unit))
                right = place >= number * wrong.get(arm, 0.0)
                labels.append({"prediction_id": prediction_id, "label": right})
            (block,), _ = blocks(samples, "g1", 1.0, self._now)
            self.book.expect(block, CARD, self._now)
        self.book.feedback(MODEL, labels, AWAITED, self._now)

    def shadow(self, losses: Losses) -> None:
        """Have rows answered by both versions, and labelled; so many of the answers are wrong."""
        count = RolloutCount(self._stand.rollout.id, Share)
        origin = Origin(MODEL, 2, Role.SHADOW, REGRESSOR, labelled=True)
        y = np.ones((1, 1), np.float32)  # Which is yes.
        samples, labels = [], []
        none = losses.pairs - losses.both - losses.ours - losses.theirs
        for number, rival, right in (
            (losses.both, 1.0, False),
            (losses.ours, 0.0, False),
            (losses.theirs, 0.0, True),
            (none, 1.0, True),
        ):
            for _ in range(int(number)):
                self._asked += 1
                prediction_id = f"{self._asked:032x}"
                pair = Pair(agrees=rival == 1.0, rival=rival)
                beside = count.pair(UNKEYED, lambda pair=pair: pair)  # type: ignore[misc]
                samples.append(Sample(origin, prediction_id, 1, (y,), (y,), {}, None, beside))
                labels.append({"prediction_id": prediction_id, "label": right})
        (block,), _ = blocks(samples, "g1", 1.0, self._now)
        self.book.expect(block, CARD, self._now)
        self.book.feedback(MODEL, labels, AWAITED, self._now)

    async def tell(self) -> None:
        """Have the conductor hear of it: it asks now and then, and does not wait for an answer."""
        self._stand.monitors.labelled = self.book.labelled_units(MODEL)
        for _ in range(2):
            self._stand.serve(0)
            await self._stand.look(6.0)
            watched = self._stand.conductor._watched.get(self._stand.rollout.id)
            if watched is not None and watched.asking is not None:
                await watched.asking

    @property
    def _now(self) -> float:
        return self._stand.clock.now.timestamp()


@pytest.fixture(scope="module")
def deciding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two versions that decide, the first has all traffic, and one of prices."""
    folder = tmp_path_factory.mktemp("deciding") / "data"
    registry = Registry.open(folder, LIMITS)
    for bias, card in enumerate((CARD, CARD, Card(task=Task.REGRESSION))):
        digest = registry.put_artifact(regressor(bias).SerializeToString())
        registry.register(MODEL, digest, card, None, "ada")
    registry.promote(MODEL, 1, "ada", "first")
    registry.close()
    return folder


@pytest.fixture
async def stand(deciding: Path, tmp_path: Path) -> AsyncIterator[Stand]:
    """A conductor that has looked at nothing yet."""
    shutil.copytree(deciding, tmp_path / "data")
    clock = Clock()
    made = Stand(Registry.open(tmp_path / "data", LIMITS, clock), clock)
    yield made
    await made.conductor.close()
    made.registry.close()


@pytest.fixture
async def canary(stand: Stand) -> Stand:
    """A canary of version 2 at 5 %."""
    await stand.start(**QUALITY)
    await stand.until(RolloutState.CANARY)
    return stand


@pytest.fixture
def truth(canary: Stand, tmp_path: Path) -> Any:
    """Labels for its answers."""
    made = Truth(canary, tmp_path / "labels")
    yield made
    made.book.close()


async def test_a_version_that_is_often_wrong_is_rolled_back_by_labels_alone(
    canary: Stand, truth: Truth
) -> None:
    """Nothing else is wrong with it; and the reason says that it rests on labels."""
    truth.predict(
        {JudgedArm.CANDIDATE: 50, JudgedArm.BASELINE: 50, JudgedArm.STABLE: 900},
        {JudgedArm.CANDIDATE: 0.5, JudgedArm.BASELINE: 0.02, JudgedArm.STABLE: 0.02},
    )
    await truth.tell()

    assert (await canary.look()).state is RolloutState.ROLLED_BACK
    back = canary.registry.rollout_changes(canary.rollout.id)[-2]
    assert (back.action, back.rollout.by) == ("roll back", "weir")
    assert back.rollout.reason.startswith(
        "quality_loss: 25 of 50 labelled units were answered wrongly with the candidate, "
        "19 of 950 with the stable version"
    )


async def test_a_version_that_is_as_right_is_shown_to_be_good_by_labels(
    canary: Stand, truth: Truth
) -> None:
    """And not before they have come, however many units were served."""
    canary.clock.later(11.0)
    canary.serve(4000)
    assert (await canary.look(0.0)).step == 0
    (before,) = (await canary.conductor.see(canary.rollout))[1].findings
    assert (before.good, before.units[JudgedArm.CANDIDATE]) == (False, 0)
    (guard,) = (await canary.desk.explain(canary.rollout.id)).guards
    assert "no label of a unit has come yet" in guard.says

    truth.predict({JudgedArm.CANDIDATE: 25, JudgedArm.BASELINE: 25, JudgedArm.STABLE: 450}, {})
    await truth.tell()

    (found,) = (await canary.conductor.see(canary.rollout))[1].findings
    assert (found.good, found.harmful) == (True, False)
    (guard,) = (await canary.desk.explain(canary.rollout.id)).guards
    assert "wrong of labelled units: candidate 0 of 25, stable 0 of 475" in guard.says


async def test_labels_that_one_arm_lacks_show_nothing(canary: Stand, truth: Truth) -> None:
    """The answers that nobody labels may be those that are wrong."""
    truth.predict({JudgedArm.STABLE: 500}, {})
    await truth.tell()
    (found,) = (await canary.conductor.see(canary.rollout))[1].findings

    assert found.good_log10 >= found.good_at
    assert not found.good


async def test_a_restart_of_either_side_counts_no_label_twice(canary: Stand, truth: Truth) -> None:
    """Nor does it lose one, also of those that come while nobody asks."""
    units = {JudgedArm.CANDIDATE: 10, JudgedArm.BASELINE: 10, JudgedArm.STABLE: 180}
    await canary.order(Command.PAUSE)
    for restart in (truth.restart, canary.open):
        truth.predict(units, {JudgedArm.STABLE: 0.1})
        await truth.tell()
        truth.predict(units, {})
        restart()
        await truth.tell()

    course, _ = await canary.conductor.see(canary.rollout)
    (arms,) = course.evidence.seen.values()
    assert {arm: tally.labelled for arm, tally in arms.items()} == {
        JudgedArm.CANDIDATE: 40,
        JudgedArm.BASELINE: 40,
        JudgedArm.STABLE: 720,
    }
    wrong = [tally.events.get(Metric.QUALITY_LOSS, 0) for tally in arms.values()]
    assert wrong == [0, 0, 36]


async def test_labels_count_by_the_shares_under_which_units_came(
    canary: Stand, truth: Truth
) -> None:
    """However late they come: the candidate may have more of the traffic by then."""
    units = {JudgedArm.CANDIDATE: 10, JudgedArm.BASELINE: 10, JudgedArm.STABLE: 180}
    truth.predict(units, {})
    await truth.tell()
    assert canary.weights == {1: 5000, 2: 5000}
    truth.predict(units, {}, generation=canary.route.generation - 1)
    await truth.tell()

    course, _ = await canary.conductor.see(canary.rollout)
    arms = course.evidence.seen[500, 500, 9000]
    assert [arms[arm].labelled for arm in units] == [20, 20, 360]


async def test_labels_of_a_rollout_that_is_over_change_nothing(canary: Stand, truth: Truth) -> None:
    """Nobody asks any more, and the next rollout begins with none."""
    truth.predict({JudgedArm.CANDIDATE: 50}, {JudgedArm.CANDIDATE: 1.0})
    await canary.order(Command.ABORT)
    await canary.look()
    await canary.start(**QUALITY)
    await canary.until(RolloutState.CANARY)

    await truth.tell()

    assert canary.rollout.state is RolloutState.CANARY
    course, _ = await canary.conductor.see(canary.rollout)
    assert not any(
        tally.labelled for arms in course.evidence.seen.values() for tally in arms.values()
    )


async def test_nobody_is_judged_while_labels_cannot_be_had(canary: Stand, truth: Truth) -> None:
    """What has come meanwhile is heard of later."""
    units = {JudgedArm.CANDIDATE: 5, JudgedArm.STABLE: 95}
    truth.predict(units, {})
    canary.monitors.away = Unavailable("away")
    await truth.tell()
    course, _ = await canary.conductor.see(canary.rollout)
    assert course.evidence.seen == {}

    canary.monitors.away = None
    await truth.tell()

    (arms,) = course.evidence.seen.values()
    assert {arm: arms[arm].labelled for arm in units} == units


@pytest.fixture
async def shadow(stand: Stand) -> Stand:
    """Version 2 as a shadow, which labels alone can judge."""
    await stand.start(**PAIRED)
    await stand.until(RolloutState.SHADOW)
    return stand


@pytest.fixture
def pairs(shadow: Stand, tmp_path: Path) -> Any:
    """Labels for the rows that both versions answered."""
    made = Truth(shadow, tmp_path / "labels")
    yield made
    made.book.close()


async def test_a_shadow_that_labels_show_to_be_worse_is_never_heard(
    shadow: Stand, pairs: Truth
) -> None:
    """Before anybody gets its answers; the reason says what was wrong, and of how many."""
    pairs.shadow(Losses(120, 10, 25, 2))
    await pairs.tell()

    assert (await shadow.look()).state is RolloutState.ROLLED_BACK
    back = shadow.registry.rollout_changes(shadow.rollout.id)[-2]
    assert (back.action, back.rollout.by) == ("roll back", "weir")
    assert back.rollout.reason.startswith(
        "shadow_loss: 35 of 120 labelled rows that both versions answered were answered wrongly "
        "with the candidate, 12 of 120 with the stable version"
    )
    changes = shadow.registry.rollout_changes(shadow.rollout.id)
    assert not any(each.rollout.state is RolloutState.CANARY for each in changes)


async def test_a_shadow_waits_until_labels_show_that_it_is_as_right(
    shadow: Stand, pairs: Truth
) -> None:
    """However long it has been compared."""
    for _ in range(5):
        shadow.serve(100)
        assert (await shadow.look(6.0)).state is RolloutState.SHADOW
    (guard,) = (await shadow.desk.explain(shadow.rollout.id)).guards
    assert "no label of a row that both versions answered has come yet" in guard.says

    pairs.shadow(Losses(120, 40, 1, 1))
    await pairs.tell()

    assert (await shadow.look()).state is RolloutState.CANARY
    (guard,) = (await shadow.desk.explain(shadow.rollout.id)).guards
    assert "candidate 41 of 120, stable 41 of 120" in guard.says


async def test_a_shadow_does_not_wait_for_labels_that_are_optional(stand: Stand) -> None:
    """It goes on without one; should they come, they can roll it back."""
    optional = {**PAIRED["guardrails"][0], "optional": True}
    errors = {"metric": "error_ratio", "margin_abs": 0.1}
    await stand.start(**{**PAIRED, "guardrails": [errors, optional]})
    await stand.until(RolloutState.CANARY)


async def test_late_labels_can_take_back_that_it_is_as_right(shadow: Stand, pairs: Truth) -> None:
    """Then it is not promoted by itself, though the stage that could show it is over."""
    pairs.shadow(Losses(60))
    await pairs.tell()
    assert (await shadow.look()).state is RolloutState.CANARY

    pairs.shadow(Losses(20, 0, 4, 1))
    await pairs.tell()

    (found,) = (await shadow.conductor.see(shadow.rollout))[1].findings
    assert (found.good, found.harmful) == (False, False)


async def test_labels_of_shadow_answers_that_come_later_count_all_the_same(
    shadow: Stand, pairs: Truth
) -> None:
    """The candidate may have traffic by then: it is taken away again."""
    pairs.shadow(Losses(60))
    await pairs.tell()
    assert (await shadow.look()).state is RolloutState.CANARY

    pairs.shadow(Losses(60, 0, 40, 0))
    await pairs.tell()

    assert (await shadow.look()).state is RolloutState.ROLLED_BACK


async def test_no_label_of_a_pair_counts_twice_over_a_restart(shadow: Stand, pairs: Truth) -> None:
    """Of either side; none is lost of those that come while nobody asks."""
    await shadow.order(Command.PAUSE)
    for restart in (pairs.restart, shadow.open):
        pairs.shadow(Losses(10, 3, 2, 1))
        await pairs.tell()
        pairs.shadow(Losses(10))
        restart()
        await pairs.tell()

    course, _ = await shadow.conductor.see(shadow.rollout)
    assert course.evidence.pairs.losses == Losses(40, 6, 4, 2)


async def test_cards_that_name_other_classes_cannot_be_compared_by_labels(stand: Stand) -> None:
    """Refused by the guardrail's name, and what the cards must have."""
    other = CARD.model_copy(update={"label": Label(type="boolean", classes=("no", "yes"))})
    digest = stand.registry.put_artifact(regressor(7).SerializeToString())
    (registered, _) = stand.registry.register(MODEL, digest, other, None, "ada")
    number = registered.number
    refusal = rf"cards of .* versions 1 and {number} must say the same of label.type, label.cl"
    with pytest.raises(BadInput, match=refusal):
        await stand.desk.start(Start(MODEL, number, "ada", policy=PAIRED))
    prices = r"shadow_loss cannot tell anything: the card of .* version 3 must be one of a class"
    with pytest.raises(BadInput, match=prices):
        await stand.desk.start(Start(MODEL, 3, "ada", policy=PAIRED))


async def test_a_guardrail_on_labels_is_refused_where_none_can_tell(stand: Stand) -> None:
    """By name, before anybody waits for it; one that is optional is only passed over."""
    refusal = r"quality_loss cannot tell anything: the card of .* version 3"
    with pytest.raises(BadInput, match=refusal):
        await stand.desk.start(Start(MODEL, 3, "ada", policy=QUALITY))
    stand.registry.promote(MODEL, 3, "ada", "one of prices")
    with pytest.raises(BadInput, match=refusal):
        await stand.start(**QUALITY)
    assert stand.registry.rollouts(MODEL) == ()

    optional = [{**QUALITY["guardrails"][0], "optional": True}]
    assert (await stand.start(**{**QUALITY, "guardrails": optional})).candidate == 2


def test_a_report_has_the_counts_of_its_rollout_alone() -> None:
    """By generation and arm; before its first label there is none."""
    units = [
        LabelledUnits("f", Assigned("r", 1, "candidate"), 5, 2),
        LabelledUnits("f", Assigned("r", 1, "stable"), 50, 3),
        LabelledUnits("f", Assigned("r", 2, "baseline"), 0, 0),
        LabelledUnits("f", Assigned("s", 2, "stable"), 9, 9),
    ]

    report = labels_report(units, "r")

    assert report is not None
    assert (report.source, report.rollout) == ("labels-f", "r")
    assert set(report.stretches) == {1}
    wrong = {Metric.QUALITY_LOSS: 2}
    assert report.stretches[1][JudgedArm.CANDIDATE] == Tally(0, wrong, wrong, labelled=5)
    assert labels_report(units[2:3], "r") is None


def test_what_labels_say_is_no_word_of_a_gateway_process() -> None:
    """It is added up with theirs, and none of them is heard by it."""
    reports = Reports(lambda: 0.0)
    labels = Report("labels-f", "r", {1: {JudgedArm.STABLE: Tally(labelled=4)}})
    reports.take_labels(labels)
    assert reports.heard("r", 10.0) == 0
    took = {JudgedArm.STABLE: Times(none=2)}
    reports.take([Report("1-a", "r", {1: {JudgedArm.STABLE: Tally(9)}}, latency=took)])
    last = reports.of("r")

    increment = since(last, {})

    assert increment.stretches == {1: {JudgedArm.STABLE: Tally(9, labelled=4)}}
    assert increment.latency == took
    assert from_json(to_json(last)) == last
    later = replace(labels, stretches={1: {JudgedArm.STABLE: Tally(labelled=7)}})
    more = since({**last, "labels-f": later}, from_json(to_json(last)))
    assert more.stretches == {1: {JudgedArm.STABLE: Tally(labelled=3)}}
    reports.keep_only(())
    assert reports.of("r") == {}
