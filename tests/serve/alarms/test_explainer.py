"""Questions are answered one after the other, beside whoever asks, and not too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from configs.errors import InternalError, NotFound, Overloaded
from monitors.kept import Place
from monitors.signal import Key
from monitors.why.answer import Why
from monitors.why.case import Case
from monitors.why.model import Model
from registry.card import Card, Task
from registry.records import Version
from serve.alarms.explainer import AGAIN_S, PER_MINUTE, Explainer
from tests.serve.versions import REGRESSOR

PLACE: Place = ("m", 1, "stable")
AGE: Key = ("drift", "input_drift", "age")
VERSION = Version("m", 1, "d", REGRESSOR, Card(task=Task.REGRESSION), None, 1, "ada", "")


@dataclass
class Cases:
    """Cases that take as long as a test wants."""

    go: threading.Event = field(default_factory=threading.Event)
    opened: list[Key] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    now: float = 0.0

    def __call__(self, place: Place, key: Key) -> Case:
        """The case of a signal, none of `nothing`."""
        assert place == PLACE
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.opened.append(key)
        assert self.go.wait(10)
        self.at_once -= 1
        if key[2] == "nothing":
            raise NotFound("it is not watched")
        return Case(key, VERSION, None, float(len(self.opened)), True, (), False, None, None)


@contextmanager
def no_model(version: Version) -> Iterator[Model]:
    """Nothing that could run."""
    yield lambda inputs: inputs


@pytest.fixture(name="cases")
def quick_cases() -> Cases:
    """Cases that take no time, until a test has them wait."""
    cases = Cases()
    cases.go.set()
    return cases


def nothing_fails() -> None:
    """No fault of ours is expected."""
    pytest.fail("a fault was counted")


@pytest.fixture(name="explainer")
def an_explainer(cases: Cases) -> Iterator[Explainer]:
    """An explainer that is closed."""
    explainer = Explainer(cases, no_model, lambda: cases.now, nothing_fails)
    yield explainer
    cases.go.set()
    explainer.close()


def answer(explainer: Explainer, key: Key = AGE) -> Why:
    """Ask until there is an answer."""
    deadline = time.monotonic() + 10
    while (found := explainer.why(PLACE, key)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found


def test_whoever_asks_does_not_wait(explainer: Explainer, cases: Cases) -> None:
    """The question stays open, and is worked on once."""
    cases.go.clear()
    assert explainer.why(PLACE, AGE) is None
    assert explainer.why(PLACE, AGE) is None
    cases.go.set()
    assert answer(explainer).changed_at == 1
    assert cases.opened == [AGE]


def test_only_one_is_worked_on_at_a_time(explainer: Explainer, cases: Cases) -> None:
    """The others wait for their turn."""
    for subject in ("a", "b", "c"):
        explainer.why(PLACE, (*AGE[:2], subject))
    for subject in ("a", "b", "c"):
        answer(explainer, (*AGE[:2], subject))
    assert (len(cases.opened), cases.most_at_once) == (3, 1)


def test_who_asks_again_soon_gets_the_same(explainer: Explainer, cases: Cases) -> None:
    """And later another one."""
    first = answer(explainer)
    cases.now = AGAIN_S - 1
    assert explainer.why(PLACE, AGE) is first
    cases.now = AGAIN_S
    assert answer(explainer).changed_at == 2


def test_an_error_is_raised_once(explainer: Explainer, cases: Cases) -> None:
    """It is not what is known: who asks again has it tried again."""
    nothing = (*AGE[:2], "nothing")
    for _ in range(2):
        with pytest.raises(NotFound, match="not watched"):
            answer(explainer, nothing)
    assert cases.opened == [nothing, nothing]


def test_too_many_are_refused(explainer: Explainer, cases: Cases) -> None:
    """For the rest of the minute; what is known is still told."""
    for at in range(PER_MINUTE):
        answer(explainer, (*AGE[:2], str(at)))
    with pytest.raises(Overloaded, match="ask again"):
        explainer.why(PLACE, AGE)
    assert explainer.why(PLACE, (*AGE[:2], "0")) is not None
    cases.now = 60.0
    assert answer(explainer).changed_at > PER_MINUTE


def test_what_fails_is_counted_and_not_quoted(cases: Cases) -> None:
    """Errors of libraries may have a row in them."""
    counted = []

    def failing(place: Place, key: Key) -> Case:
        raise ValueError("Erika Mustermann")

    explainer = Explainer(failing, no_model, lambda: cases.now, lambda: counted.append(1))
    with pytest.raises(InternalError, match="ValueError in test_explainer") as failed:
        answer(explainer)
    assert "Erika" not in str(failed.value)
    assert counted == [1]
    explainer.close()
