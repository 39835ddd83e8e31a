"""The desk at which inference requests are answered over HTTP (v2 REST, "Inference").

Everything here is called when something has happened: a head has come, a body, the model's answer.
No request has a task, and nothing waits.
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from configs.errors import NotFound, VersionNotFound, WeirError
from configs.settings import Limits
from monitors.telemetry import names
from serve.edge.bodies import Bodies, Body
from serve.edge.compression import accepted, deflate
from serve.edge.cycle import Cycle
from serve.edge.errors import fields, render
from serve.edge.head import Head, Heads
from serve.edge.reception import Reception
from serve.edge.visit import Visit
from serve.exchange import Exchange
from serve.protocol import http_answer, http_request
from serve.protocol.paths import Ask, endpoint
from serve.recorder.counts import Histogram
from serve.traces import Call

_QUICK_BYTES = 2**18
_JSON = b"content-type: application/json\r\n"
_PACKED = b"content-type: application/octet-stream\r\n"


class Inference:
    """Answers all inference requests that come to a gateway replica over HTTP."""

    def __init__(self, reception: Reception, limits: Limits, bodies: Bodies) -> None:
        self._reception = reception
        self._compress_min_bytes = limits.compress_min_bytes
        self._bodies = bodies
        heads = Heads()
        self.known = heads.known
        self.learn = heads.learn
        self._arms: dict[tuple[str, str], bytes] = {}
        self._durations: dict[tuple[int, str], Histogram] = {}
        self._deflating: set[asyncio.Future[bytes]] = set()

    def read(self, method: bytes, path: str, fields: list[tuple[bytes, bytes]]) -> Head | None:
        """Give what a head says, None if it does not begin an inference request."""
        if method != b"POST":
            return None
        try:
            asked = endpoint(path)
        except (NotFound, VersionNotFound):
            return None
        return Head(asked, fields) if asked.ask is Ask.INFER else None

    def judge(self, cycle: Cycle) -> Visit:
        """Let a request in by its head, or answer it with an error."""
        reception, head = self._reception, cycle.head
        reception.open_requests += 1
        visit = cycle.visit = reception.arrive()
        visit.endpoint = head.endpoint
        try:
            reception.admit(head.endpoint, head.caller)
            if head.fault is not None:
                raise head.fault
            self._bodies.check(head.length)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(cycle, raised)
        return visit

    def body(self, head: Head) -> Body:
        """Begin to read a body."""
        return Body(self._bodies, head.encoding)

    def serve(self, cycle: Cycle, body: bytes | memoryview) -> None:
        """Ask the model."""
        head, visit = cycle.head, cycle.visit
        try:
            asked = http_request.read(body, head.json_bytes)
            exchange = self._reception.begin(visit, head.caller, asked, _CALL)
            exchange.start(asked, visit.deadline, lambda told: self._told(cycle, told))
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(cycle, raised)

    def refuse(self, cycle: Cycle, error: WeirError) -> None:
        """Answer a request with an error; one that is with the model is given up."""
        exchange = cycle.visit.exchange
        if exchange is not None:
            exchange.give_up()
        else:
            self._fail(cycle, error)

    def _told(self, cycle: Cycle, exchange: Exchange) -> None:
        """Write the answer that the model has given."""
        try:
            body, json_bytes = http_answer.write(
                exchange.model,
                exchange.version,
                exchange.request_id,
                exchange.said(),
                exchange.outputs(),
            )
            accepts = cycle.head.accepts
            encoding, quick = None, True
            if accepts is not None and len(body) >= self._compress_min_bytes:
                encoding, quick = accepted(accepts), len(body) < _QUICK_BYTES
            if encoding is not None and quick:
                body = deflate(body, encoding)
        except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
            self._fail(cycle, raised)
            return
        if encoding is None or quick:
            self._answer(cycle, exchange, body, json_bytes, encoding)
        else:
            self._deflate(cycle, exchange, body, json_bytes, encoding)

    def _deflate(
        self,
        cycle: Cycle,
        exchange: Exchange,
        body: bytes,
        json_bytes: int | None,
        encoding: bytes,
    ) -> None:
        """Compress in a thread what is not quick: zlib lets go of the lock."""

        def deflated(done: asyncio.Future[bytes]) -> None:
            self._deflating.discard(done)
            try:
                deflated_body = done.result()
            except Exception as raised:  # noqa: BLE001 - the process boundary; counted by its code
                self._fail(cycle, raised)
            else:
                self._answer(cycle, exchange, deflated_body, json_bytes, encoding)

        work = asyncio.get_running_loop().run_in_executor(None, deflate, body, encoding)
        self._deflating.add(work)
        work.add_done_callback(deflated)

    def _answer(
        self,
        cycle: Cycle,
        exchange: Exchange,
        body: bytes,
        json_bytes: int | None,
        encoding: bytes | None = None,
    ) -> None:
        head = b"%b%b%b\r\ncontent-length: %d\r\n" % (
            _JSON if json_bytes is None else _PACKED,
            self._arm(exchange),
            exchange.prediction_id.encode(),
            len(body),
        )
        if json_bytes is not None:
            head += b"inference-header-content-length: %d\r\n" % json_bytes
        if encoding is not None:
            head += b"content-encoding: %b\r\n" % encoding
        if self._reception.draining:
            cycle.keep_alive = False
        cycle.answer(200, head, body)
        exchange.answered(self._reception.gateway.shadows)
        self._end(cycle, 200)

    def _arm(self, exchange: Exchange) -> bytes:
        """Give the header fields that say who answered, up to the prediction's id."""
        key = (exchange.version, exchange.arm)
        arm = self._arms.get(key)
        if arm is None:
            words = (exchange.version.encode(), exchange.arm.encode())
            arm = b"weir-version: %b\r\nweir-arm: %b\r\nweir-prediction-id: " % words
            self._arms[key] = arm
        return arm

    def _fail(self, cycle: Cycle, raised: Exception) -> None:
        status, headers, body = render(*self._reception.failed(cycle.visit, raised))
        if self._reception.draining:
            cycle.keep_alive = False
        cycle.answer(status, fields(headers), body)
        self._end(cycle, status)

    def _end(self, cycle: Cycle, status: int) -> None:
        self._reception.open_requests -= 1
        visit = cycle.visit
        visit.exchange = None  # The connection keeps the cycle, but not what was asked.
        key = (status, visit.code)
        histogram = self._durations.get(key)
        if histogram is None:
            histogram = self._reception.gateway.recorder.counts.histogram(
                names.REQUEST_DURATION, "POST", Ask.INFER.value, str(status), visit.code
            )
            self._durations[key] = histogram
        histogram.record(perf_counter() - visit.started)


def _status(error: WeirError | None) -> int:
    return 200 if error is None else error.status


_CALL = Call(
    f"POST {Ask.INFER.value}",
    {names.HTTP_METHOD: "POST", names.HTTP_ROUTE: Ask.INFER.value},
    names.HTTP_STATUS,
    _status,
)
