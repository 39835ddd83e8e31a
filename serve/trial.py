"""A request to a version on trial: if that fails, the stable version answers, in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from configs.errors import BadInput, ClientGone, ModelFailed, NotReady, WeirError
from serve.case import Case
from serve.models.frames import Tensors
from serve.protocol.asked import Asked

if TYPE_CHECKING:
    from serve.exchange import Exchange


class Trial:
    """Asks the candidate or the baseline, and the stable version where that does not answer.

    The first has half of the request's time. One that fails, takes longer, cannot be reached or
    gives what is no valid output is not heard; there is no second fallback. A request that was not
    sent, as the version was away or had no room, is not counted: that says nothing of the version.

    It is what the first one's batcher tells; what comes after its time is nobody's.
    """

    __slots__ = ("_asked", "_case", "_deadline", "_exchange", "_rows")

    def __init__(self, case: Case, asked: Asked, deadline: float) -> None:
        self._exchange: Exchange | None = None
        self._case = case
        self._asked = asked
        self._deadline = deadline
        self._rows = 0

    def start(self, exchange: Exchange) -> None:
        """Send the request to the version on trial, or at once to the stable one."""
        case, version = self._case, self._case.version
        by = case.begin(self._deadline)
        refusal = self._stable_refuses()
        if refusal is not None:
            # It is counted for no arm: it would not be for the stable version's own.
            case.void()
        try:
            request = version.contract.fit(self._asked)
        except BadInput as error:
            # What both refuse is the client's mistake; the rest is a failure.
            if refusal is not None:
                raise refusal from None
            case.sent()
            case.failed(error)
            self._hand_over(exchange, error)
            return
        self._rows = request.rows
        try:
            if not version.links.connected:
                unreachable = f"version {version.version.number} cannot be reached"
                raise NotReady(unreachable)
            exchange.send(request, self, by, True)
        except WeirError as error:
            case.void()
            self._hand_over(exchange, error)
            return
        self._exchange = exchange
        case.sent()

    # What the batcher calls

    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._exchange is None

    def set_result(self, answer: Tensors, /) -> None:
        """Take the answer of the version on trial."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self._case.came()
        if self._case.judge(answer, self._rows):
            exchange.set_result(answer)
        else:
            invalid = "the version gave an output that is not valid"
            self._fall_back(exchange, ModelFailed(invalid))

    def set_exception(self, error: WeirError, /) -> None:
        """Take the reason why the version on trial gives no answer."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self._case.failed(error)
        if isinstance(error, ClientGone):
            exchange.set_exception(error)
        else:
            self._fall_back(exchange, error)

    def _stable_refuses(self) -> BadInput | None:
        """Give why the stable version does not take a request; the baseline takes what it takes."""
        stable = self._case.judging.stable
        if stable.version.number == self._case.version.version.number:
            return None
        try:
            stable.contract.fit(self._asked)
        except BadInput as error:
            return error
        return None

    def _fall_back(self, exchange: Exchange, error: WeirError) -> None:
        """Have the stable version answer, or say why it cannot."""
        try:
            self._hand_over(exchange, error)
        except WeirError as other:
            exchange.set_exception(other)

    def _hand_over(self, exchange: Exchange, error: WeirError) -> None:
        """Have the stable version answer, unless only the failed one understands the request."""
        stable = self._case.judging.stable
        try:
            request = stable.contract.fit(self._asked)
        except BadInput:
            raise error from None
        exchange.fall_back(stable, request, error, self._deadline)
