"""The inference port of a gateway, as far as commands ask it."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, sleep
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from configs.errors import Refused, WeirError
from serve.control.connection import Connection, stranger

_PATIENCE_S = 60.0
_AGAIN_S = 1.0
_HEADERS = {"Content-Type": "application/x-ndjson"}


class RefusedView(BaseModel):
    """A message that was refused, by its place in its request."""

    model_config = ConfigDict(frozen=True)

    index: int
    reason: str


class ReceiptView(BaseModel):
    """What became of the messages of one request."""

    model_config = ConfigDict(frozen=True)

    accepted: int = 0
    joined: int = 0
    waiting: int = 0
    repeated: int = 0
    corrected: int = 0
    refused: tuple[RefusedView, ...] = ()
    refused_count: int = 0


class InferencePort:
    """Sends labels, again where that may help: nothing counts twice.

    Raises the `WeirError` that the gateway names, `Unavailable` when nobody answers.
    """

    def __init__(self, connection: Connection, patience_s: float = _PATIENCE_S) -> None:
        self._connection = connection
        self._patience_s = patience_s

    def feedback(self, model: str, lines: Sequence[bytes], *, audit: bool = False) -> ReceiptView:
        """Send messages, each a line of JSON, over the channel for audits or the other one."""
        path = f"/v1/models/{quote(model, safe='')}/{'groups' if audit else 'feedback'}"
        until = monotonic() + self._patience_s
        while True:
            try:
                return self._sent(path, lines)
            except Refused as error:
                if len(lines) > 1:
                    raise
                alone = RefusedView(index=0, reason=error.message)
                return ReceiptView(refused=(alone,), refused_count=1)
            except WeirError as error:
                late = monotonic() > until or not self._connection.answered
                if late or not error.retryable:
                    raise
            sleep(_AGAIN_S)

    def _sent(self, path: str, lines: Sequence[bytes]) -> ReceiptView:
        answer = self._connection.ask("POST", path, content=b"\n".join(lines), headers=_HEADERS)
        try:
            return ReceiptView.model_validate_json(answer.content)
        except ValidationError:
            raise stranger(answer) from None
