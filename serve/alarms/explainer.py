"""Answers why alarms were raised: one after the other, not too often, and while others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from configs.errors import InternalError, Overloaded, WeirError
from monitors.kept import Place
from monitors.privacy import blame
from monitors.signal import Key
from monitors.why.answer import Why
from monitors.why.case import Case
from monitors.why.explanation import explain
from monitors.why.model import Opened

AGAIN_S = 30.0
"""Whoever asks again within this time gets the same answer."""

PER_MINUTE = 10
"""So many answers are worked out in a minute, at most."""

_KEPT = 64
_log = logging.getLogger("weir.watchers")

Question = tuple[Place, Key]


@dataclass(frozen=True, slots=True)
class _Asked:
    at: float
    answer: Future[tuple[float, Why]]


class Explainer:
    """Explains alarms in a thread of its own, beside whoever asks, who is one at a time.

    `case` is called in that thread, and so is `failed`, once for every fault of our own. `clock`
    gives seconds that never go back.
    """

    def __init__(
        self,
        case: Callable[[Place, Key], Case],
        opened: Opened,
        clock: Callable[[], float],
        failed: Callable[[], None],
    ) -> None:
        self._case = case
        self._opened = opened
        self._clock = clock
        self._failed = failed
        self._worker = ThreadPoolExecutor(1, "weir-why")
        self._asked: dict[Question, _Asked] = {}

    def why(self, place: Place, key: Key) -> Why | None:
        """The answer; None while it is being worked out: ask again.

        Raises what the work raised, `NotFound` where nothing is watched, and `Overloaded` when too
        many answers have been asked for.
        """
        question = (place, key)
        asked = self._asked.get(question)
        if asked is not None and not asked.answer.done():
            return None
        if asked is not None:
            if asked.answer.exception() is not None:
                del self._asked[question]
            found_at, found = asked.answer.result()
            if self._clock() - found_at < AGAIN_S:
                return found
        self._begin(question)
        return None

    def close(self) -> None:
        """Begin nothing more."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _begin(self, question: Question) -> None:
        now = self._clock()
        if sum(now - each.at < 60 for each in self._asked.values()) >= PER_MINUTE:
            raise Overloaded(
                f"{PER_MINUTE} alarms have been explained within a minute: ask again in a while"
            )
        self._asked.pop(question, None)
        while len(self._asked) >= _KEPT:
            del self._asked[next(iter(self._asked))]
        self._asked[question] = _Asked(now, self._worker.submit(self._answer, question))

    def _answer(self, question: Question) -> tuple[float, Why]:
        try:
            found = explain(self._case(*question), self._opened)
        except WeirError:
            raise
        except Exception as error:  # noqa: BLE001 - its own words may quote a row; counted
            self._failed()
            _log.error("why could not be answered: %s", blame(error))
            raise InternalError(f"why is not known: {blame(error)}") from None
        return self._clock(), found
