"""What both of KServe's clients are asked: their requests and answers are the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import from_np_dtype

from tests.conformance.clients import trying
from tests.conformance.clients.trying import Features, raises, same

ONES = np.ones((1, 16), np.int32)
COUNT = np.arange(16, dtype=np.int32).reshape(1, 16)
SCORES = np.array([[0.1, 0.5, 0.05, 0.3, 0.05], [0.9, 0.02, 0.03, 0.01, 0.04]], np.float32)
ZERO = np.zeros((1, 1), np.float32)
PARALLEL = 80

Infer = Callable[..., Awaitable[Any]]
"""Takes a request, and perhaps `timeout`; gives the answer."""


@dataclass(frozen=True)
class KServe:
    """One of the clients, and how its errors name what went wrong."""

    infer: Infer
    loop: asyncio.AbstractEventLoop
    error: type[Exception]
    """What it raises when the gateway refuses."""
    timeout: type[Exception]
    """What it raises when it does not want to wait any longer."""
    bad: str
    unknown: str
    late: str

    def ask(self, model: str, *inputs: Any, **options: Any) -> Any:
        """The answer to one request."""
        timeout = {"timeout": options.pop("timeout")} if "timeout" in options else {}
        made = InferRequest(model, list(inputs), **options)
        return self.loop.run_until_complete(self.infer(made, **timeout))

    def echo(self, model: str, data: Any) -> Any:
        """What an identity model of one input gives back, all as bytes."""
        kind = from_np_dtype(data.dtype)
        wanted = [RequestedOutput(f"out_{kind}", {"binary_data": True})]
        return output(self.ask(model, tensor(f"in_{kind}", data), request_outputs=wanted))


def tensor(name: str, data: Any, binary: bool = True) -> Any:
    """An input with its data."""
    made = InferInput(name, list(data.shape), from_np_dtype(data.dtype))
    made.set_data_from_numpy(data, binary_data=binary)
    return made


def pair(binary: tuple[bool, bool] = (True, True)) -> list[Any]:
    """The two inputs of the model `simple`."""
    return [tensor("INPUT0", COUNT, binary[0]), tensor("INPUT1", ONES, binary[1])]


def output(answer: Any, name: str | None = None) -> Any:
    """An output of an answer, by default its only one."""
    found = {each.name: each.as_numpy() for each in answer.outputs}
    if name is None:
        (only,) = found.values()
        return only
    return found[name]


def sum_and_difference(answer: Any) -> None:
    """Fail unless an answer is that of `simple` to the two inputs above."""
    same(output(answer, "OUTPUT0"), COUNT + ONES)
    same(output(answer, "OUTPUT1"), COUNT - ONES)


def collect(feature: Features, kserve: KServe) -> None:
    """Collect everything that the two have in common."""
    _inference(feature, kserve)
    _data(feature, kserve)
    _errors(feature, kserve)
    _time(feature, kserve)


def _inference(feature: Features, kserve: KServe) -> None:
    ask = kserve.ask

    @feature("infer_binary")
    def binary() -> None:
        sum_and_difference(ask("simple", *pair(), parameters={"binary_data_output": True}))

    @feature("default_outputs")
    def default() -> None:
        answer = ask("simple", *pair())
        sum_and_difference(answer)
        assert [each.name for each in answer.outputs] == ["OUTPUT0", "OUTPUT1"]

    @feature("requested_outputs")
    def requested() -> None:
        answer = ask("simple", *pair(), request_outputs=[RequestedOutput("OUTPUT1")])
        same(output(answer), COUNT - ONES)

    @feature("id")
    def request_id() -> None:
        assert ask("simple", *pair(), request_id="a-7 é").id == "a-7 é"

    @feature("parameters")
    def parameters() -> None:
        extra = {"text": "a", "whole": 3, "flag": True, "priority": 1}
        sum_and_difference(ask("simple", *pair(), parameters=extra))

    @feature("classification")
    def classification() -> None:
        wanted = [RequestedOutput("out_FP32", {"classification": 3})]
        answer = ask("labels", tensor("in_FP32", SCORES), request_outputs=wanted)
        trying.ranked(output(answer), SCORES, 3)

    @feature("concurrent")
    def concurrent() -> None:
        async def many() -> list[Any]:
            requests = (InferRequest("simple", pair()) for _ in range(PARALLEL))
            return await asyncio.gather(*map(kserve.infer, requests))

        for each in kserve.loop.run_until_complete(many()):
            sum_and_difference(each)


def _data(feature: Features, kserve: KServe) -> None:
    @feature("datatypes")
    def datatypes() -> None:
        data = {kind: trying.extremes(kind) for kind in trying.DTYPES}
        inputs = [tensor(f"in_{kind}", each) for kind, each in data.items()]
        answer = kserve.ask("everything", *inputs, parameters={"binary_data_output": True})
        for kind, each in data.items():
            same(output(answer, f"out_{kind}"), each)

    @feature("half")
    def half() -> None:
        data = np.array([[0.5, -65504, 2**-24], [1, np.inf, -0.0]], np.float16)
        same(kserve.echo("half", data), data)

    @feature("bytes")
    def text() -> None:
        data = np.array(trying.WORDS, np.object_).reshape(2, 2)
        assert trying.texts(kserve.echo("strings", data)) == list(trying.WORDS)

    @feature("bytes_not_text")
    def not_text() -> None:
        data = np.array([[b"\xff\xfe", b"a"]], np.object_)
        with raises(kserve.error, kserve.bad, "in_BYTES", "UTF-8"):
            kserve.echo("strings", data)

    @feature("dynamic")
    def dynamic() -> None:
        for shape in ((1, 1), (3, 7), (7, 3)):
            data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
            same(kserve.echo("dynamic", data), data)

    @feature("zero_rows")
    def zero_rows() -> None:
        data = np.empty((0, 5), np.float32)
        same(kserve.echo("labels", data), data)

    @feature("large")
    def large() -> None:
        data = np.arange(2**21, dtype=np.float32).reshape(2, 2**20)
        same(kserve.echo("dynamic", data), data)


def _errors(feature: Features, kserve: KServe) -> None:
    ask = kserve.ask

    @feature("wrong_shape")
    def shape() -> None:
        with raises(kserve.error, kserve.bad, "INPUT0", "16"):
            ask("simple", tensor("INPUT0", ONES[:, :8].copy()), pair()[1])

    @feature("wrong_datatype")
    def datatype() -> None:
        with raises(kserve.error, kserve.bad, "INPUT0", "INT32"):
            ask("simple", tensor("INPUT0", ONES.astype(np.float32)), pair()[1])

    @feature("wrong_name")
    def name() -> None:
        with raises(kserve.error, kserve.bad, "INPUT9", "INPUT0"):
            ask("simple", tensor("INPUT9", ONES), *pair())

    @feature("unknown_model")
    def model() -> None:
        with raises(kserve.error, kserve.unknown, "nobody"):
            ask("nobody", *pair())


def _time(feature: Features, kserve: KServe) -> None:
    ask = kserve.ask

    @feature("timeout")
    def timeout() -> None:
        ask("slow", tensor("x", ZERO), parameters={"timeout": 20_000_000})
        with raises(kserve.error, kserve.late):
            ask("slow", tensor("x", ZERO), parameters={"timeout": int(trying.HASTY_S * 1e6)})

    @feature("client_timeout")
    def client_timeout() -> None:
        def gives_up() -> bool:
            try:
                ask("slow", tensor("x", ZERO), timeout=trying.HASTY_S)
            except kserve.timeout:
                return True
            return False

        # A busy machine may hold the client itself up for as long as the model takes.
        trying.wait_for(gives_up, "the client gives up")
        sum_and_difference(ask("simple", *pair()))
