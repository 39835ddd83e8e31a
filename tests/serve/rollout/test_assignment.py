"""A unit's first answer is recorded with the arm that the unit was assigned to, and no other is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitors.labels.assigned import SHADOW, Assigned
from registry.card import Card, Decision, Label, Score, Task
from registry.records import FULL
from serve.recorder.samples import Sample
from tests.serve.rollout.judged import (
    ALL_CANDIDATE,
    ALL_STABLE,
    ALMOST_STABLE,
    CANDIDATE,
    ROLLOUT,
    STABLE,
    ask,
    judged,
    not_a_number,
    who,
)
from tests.serve.stage import Stage, stage
from tests.serve.versions import CARD
from tests.serve.waiting import wait_until

LABELLED = CARD.model_copy(update={"label": Label(type="number")})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Stage]:
    """A gateway with a host of the stable version."""
    with stage(tmp_path) as opened:
        opened.start_host(STABLE)
        yield opened


def recorded(served: Stage, count: int) -> list[Sample]:
    """The answers that were recorded, once there are so many."""
    found: list[Sample] = []

    def there() -> bool:
        found.extend(served.gateway.recorder.take()[0])
        return len(found) >= count

    wait_until(there, f"{count} recorded answers", 15.0)
    return found


def arms(served: Stage, count: int) -> list[Assigned | None]:
    """What their units were assigned to."""
    return [sample.assigned for sample in recorded(served, count)]


def test_only_the_first_request_of_a_unit_stands_for_it(served: Stage) -> None:
    """A unit without a key comes once."""
    served.start_host(CANDIDATE)
    served.apply(judged(2, ALL_STABLE, card=LABELLED))
    served.apply(judged(3, ALMOST_STABLE, card=LABELLED))

    for key in ("ann", "ann", "bob", None, None, "bob"):
        ask(served, key)

    one = Assigned(ROLLOUT, 3, "stable")
    assert arms(served, 6) == [one, None, one, one, one, None]


def test_a_unit_belongs_to_its_arm_whoever_answers(served: Stage) -> None:
    """Else only what a candidate survives would be compared."""
    served.start_host(CANDIDATE, not_a_number)
    served.apply(judged(4, ALL_CANDIDATE, card=LABELLED))

    assert who(ask(served)) == ("1", "stable")

    (sample,) = recorded(served, 1)
    assert sample.origin.version == STABLE
    assert sample.assigned == Assigned(ROLLOUT, 4, "candidate")


def test_nobody_is_assigned_while_the_candidate_has_no_traffic(served: Stage) -> None:
    """Nor is the shadow's copy anybody's answer."""
    served.start_host(CANDIDATE)
    served.apply(judged(5, ALL_STABLE, shadow_bp=FULL, card=LABELLED))

    ask(served)

    assert arms(served, 2) == [None, None]


def test_a_shadows_answer_says_what_the_stable_version_decided(served: Stage) -> None:
    """Once a unit, as it is compared once: its label will tell of both."""
    deciding = Card(
        task=Task.BINARY,
        score=Score(output="y"),
        decision=Decision(threshold=-1e6),
        label=Label(type="boolean"),
    )
    served.start_host(CANDIDATE)
    served.apply(judged(5, ALL_STABLE, shadow_bp=FULL, card=deciding))

    for key in ("ann", "ann", None):
        ask(served, key)

    by_role: dict[str, list[Assigned | None]] = {"stable": [], "shadow": []}
    for sample in recorded(served, 6):
        by_role[sample.origin.role.value].append(sample.assigned)
    beside = Assigned(ROLLOUT, 0, SHADOW, 1.0)
    assert by_role == {"stable": [None] * 3, "shadow": [beside, None, beside]}


def test_a_version_that_awaits_no_labels_keeps_nothing_more(served: Stage) -> None:
    """As with all else that is kept for labels."""
    served.start_host(CANDIDATE)
    served.apply(judged(6, ALMOST_STABLE))

    ask(served)

    assert arms(served, 1) == [None]
