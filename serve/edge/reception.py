"""Lets callers of the inference ports in, and runs what they ask, over either protocol."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Protocol

from configs.errors import (
    BadTensor,
    ClientGone,
    DeadlineExceeded,
    Forbidden,
    InternalError,
    NotSupported,
    WeirError,
)
from configs.settings import Settings
from monitors.contributions.wish import Wish
from serve.access.door import Door
from serve.access.permissions import Permission
from serve.access.principal import ANONYMOUS, Principal
from serve.edge.caller import Caller
from serve.edge.tell import tell
from serve.edge.visit import Visit
from serve.exchange import Exchange
from serve.explanations import Explanations
from serve.gateway import Gateway
from serve.protocol import http_answer
from serve.protocol.asked import Asked
from serve.protocol.describe import Said
from serve.protocol.paths import Ask, Endpoint
from serve.traces import Call, Trace

PERMISSIONS: Mapping[Ask, Permission | None] = {
    Ask.SERVER: None,
    Ask.LIVE: None,
    Ask.READY: None,
    Ask.OPENAPI: None,
    Ask.MODELS: Permission.DESCRIBE,
    Ask.MODEL: Permission.DESCRIBE,
    Ask.MODEL_READY: Permission.DESCRIBE,
    Ask.CONFIG: Permission.DESCRIBE,
    Ask.STATISTICS: Permission.DESCRIBE,
    Ask.ALL_STATISTICS: Permission.DESCRIBE,
    Ask.INDEX: Permission.DESCRIBE,
    Ask.INFER: Permission.INFER,
    Ask.EXPLAIN: Permission.INFER,
    Ask.LOAD: Permission.DEPLOY,
    Ask.UNLOAD: Permission.DEPLOY,
    Ask.FEEDBACK: Permission.INFER,
    Ask.GROUPS: Permission.AUDIT,
}
"""What a caller needs for each thing that can be asked; None for what anybody may ask."""

_SAME_MOMENT_S = 0.005
"""A client's deadline and ours pass at the same moment; who notices first is chance."""
_log = logging.getLogger("weir.edge")


class Repository(Protocol):
    """**Protocol:** the way to the control plane, which loads and unloads models."""

    async def load(self, model: str, actor: str) -> None:
        """Have a model served."""

    async def unload(self, model: str, actor: str) -> None:
        """Have a model no longer served."""


class Reception:
    """Admits, runs and counts requests; `open_requests` are those that have no answer yet.

    While `draining` it is not ready, whatever the gateway is.
    """

    def __init__(
        self, gateway: Gateway, settings: Settings, door: Door, repository: Repository
    ) -> None:
        self.gateway = gateway
        self.draining = False
        self.open_requests = 0
        self._settings = settings
        self._door = door
        self._repository = repository
        self._clock = asyncio.get_running_loop().time
        self.explanations = Explanations(
            settings.data / "artifacts", settings.verify, settings.explanations
        )

    @property
    def asks_for_keys(self) -> bool:
        """Whether callers must show who they are."""
        return self._door.required

    def ready(self) -> bool:
        """Whether a request that comes now would be served."""
        return self.gateway.ready() and not self.draining

    def arrive(self) -> Visit:
        """Begin with a request."""
        return Visit(self._clock(), self._settings.limits.deadline_s)

    def admit(self, endpoint: Endpoint, caller: Caller) -> Principal:
        """Let a caller in, or raise why not."""
        permission = PERMISSIONS[endpoint.ask]
        if permission is None:
            return ANONYMOUS
        return self._door.admit(caller.authorization, permission, time.time())

    def begin(self, visit: Visit, caller: Caller, asked: Asked, call: Call) -> Exchange:
        """Choose who answers an admitted inference request."""
        endpoint = visit.endpoint
        if endpoint is None:
            raise InternalError("a request was begun before it was understood")
        visit.waits(caller.timeout_s())
        visit.waits(asked.timeout_s)
        gateway = self.gateway

        def draw_trace(draw: int) -> Trace | None:
            return gateway.tracer.begin(call, caller.traceparent, caller.tracestate, draw)

        exchange = gateway.begin(endpoint.model, endpoint.version, caller.unit, draw_trace)
        visit.exchange = exchange
        return exchange

    async def explain(
        self, visit: Visit, caller: Caller, asked: Asked, wish: Wish
    ) -> tuple[str, bytes]:
        """Explain the rows of an admitted request; gives the version, and a JSON object."""
        endpoint = visit.endpoint
        if endpoint is None:
            raise InternalError("a request was begun before it was understood")
        visit.waits(caller.timeout_s())
        visit.waits(asked.timeout_s)
        served = self.gateway.version_for(endpoint.model, endpoint.version, caller.unit)
        inputs = served.contract.fit(asked).inputs
        version = served.version
        said = await self.explanations.explain(version, inputs, wish, visit.deadline)
        return str(version.number), http_answer.explained(
            version.model, str(version.number), asked.id, said
        )

    def failed(self, visit: Visit, raised: Exception) -> tuple[WeirError, str]:
        """Give the error that the client is told, and the id under which it is known here."""
        error = raised if isinstance(raised, WeirError) else InternalError("internal error")
        exchange, visit.exchange = visit.exchange, None
        request_id = exchange.prediction_id if exchange else self.gateway.request_id()
        if error is not raised:
            _log.error("request %s failed for a reason of ours", request_id, exc_info=raised)
        visit.code = error.code
        asked = visit.endpoint
        if isinstance(error, BadTensor) and asked is not None and asked.ask is Ask.INFER:
            self.gateway.count_refused(asked.model, error.breach)
        if exchange is not None:
            exchange.failed(error)
        return error, request_id

    def left(self, visit: Visit) -> WeirError:
        """Give up what a client no longer waits for, and say whether it left or ran out of time."""
        if visit.exchange is not None:
            visit.exchange.give_up()
        if self._clock() >= visit.deadline - _SAME_MOMENT_S:
            return DeadlineExceeded("no answer within the deadline")
        return ClientGone("the client left before it got its answer")

    async def describe(
        self,
        endpoint: Endpoint,
        asked: Mapping[str, object],
        principal: Principal,
        deadline: float,
    ) -> Said:
        """Give what is asked for that is no inference; `deadline` by the loop's clock."""
        if endpoint.ask in (Ask.LOAD, Ask.UNLOAD):
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._change(endpoint, asked, principal)
            except TimeoutError:
                raise DeadlineExceeded("it was not done within the deadline") from None
        batch_max_rows = self._settings.hosts.batch_max_rows
        if endpoint.ask is Ask.READY:
            return {"ready": self.ready(), "live": True}
        return tell(self.gateway, endpoint, asked, batch_max_rows=batch_max_rows)

    async def _change(
        self, endpoint: Endpoint, asked: Mapping[str, object], principal: Principal
    ) -> Said:
        if not self._settings.repository.control:
            raise Forbidden(
                "clients cannot load or unload models here: see the setting repository.control"
            )
        parameters = asked.get("parameters")
        if isinstance(parameters, Mapping) and not {"unload_dependents"} >= parameters.keys():
            raise NotSupported("a model is loaded as it was registered: send nothing along")
        if endpoint.ask is Ask.LOAD:
            await self._repository.load(endpoint.model, principal.name)
            return {"model_name": endpoint.model, "isLoaded": True}
        await self._repository.unload(endpoint.model, principal.name)
        return {"model_name": endpoint.model, "isUnloaded": True}
