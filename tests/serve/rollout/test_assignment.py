"""A unit's first answer is recorded with the arm that the unit was assigned to, and no other is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from monitors.labels.assigned import SHADOW, Assigned
from registry.card import Card, Decision, Label, Score, Task
from registry.records import FULL
from serve.recorder.samples import Sample, blocks
from tests.serve.edge.test_http import INFER
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

DECIDING = Card(
    task=Task.BINARY,
    score=Score(output="y"),
    decision=Decision(threshold=-1e6),
    label=Label(type="boolean"),
)
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


def test_of_many_rows_that_one_says_it_that_was_compared(served: Stage) -> None:
    """The stable version decided otherwise for each row, and the row has its own."""
    rows = 7
    served.start_host(CANDIDATE)
    for turn in range(8):
        said = turn % rows  # Only this row is decided as yes.
        data = [9.0 if at // 3 == said else 0.0 for at in range(3 * rows)]
        card = DECIDING.model_copy(update={"decision": Decision(threshold=20.0)})
        served.apply(judged(turn + 1, ALL_STABLE, shadow_bp=FULL, card=card))
        x = {"name": "x", "datatype": "FP32", "shape": [rows, 3], "data": data}
        httpx.post(served.url + INFER, json={"inputs": [x]}, trust_env=False, timeout=30)

        (sample,) = [s for s in recorded(served, 2) if s.origin.role.value == "shadow"]
        (block,), _ = blocks([sample], "g1", 1.0, 0.0)
        assert block.assigned is not None
        for row, beside in enumerate(block.assigned.tolist()):
            assert beside is None or beside.rival == float(row == said)
        assert sum(each is not None for each in block.assigned.tolist()) == 1


def test_a_shadows_answer_says_what_the_stable_version_decided(served: Stage) -> None:
    """Once a unit, as it is compared once: its label will tell of both."""
    served.start_host(CANDIDATE)
    served.apply(judged(5, ALL_STABLE, shadow_bp=FULL, card=DECIDING))

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
