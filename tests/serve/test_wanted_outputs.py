"""Requests that share a batch each get the outputs they asked for, in their order and their form.

Held together here: what a contract makes of requests, and what a batcher makes of their batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import WeirError
from registry.signature import Datatype, TensorSpec
from serve.models.batcher import Batcher
from serve.models.frames import Tensors
from serve.protocol.asked import Asked, GivenTensor, WantedOutput
from serve.protocol.contract import OutputTensor
from tests.serve.models.carriers import Holding
from tests.serve.models.virtual import virtual_time
from tests.serve.protocol.requests import contract_of

INPUTS = (
    TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, -1)),
    TensorSpec(name="s", datatype=Datatype.BYTES, shape=(-1, 1)),
)
OUTPUTS = (
    TensorSpec(name="scores", datatype=Datatype.FP32, shape=(-1, 3)),
    TensorSpec(name="counts", datatype=Datatype.INT64, shape=(-1, 2)),
    TensorSpec(name="names", datatype=Datatype.BYTES, shape=(-1, 1)),
)
CONTRACT = contract_of(INPUTS, OUTPUTS)


def run(tensors: Tensors) -> Tensors:
    """A model whose every output tells the row that it belongs to."""
    x, s = tensors
    first = x.sum(axis=1, dtype=np.float32)
    scores = np.stack([first, -first, first % 7], axis=1)
    counts = np.stack([first, 1000 - first], axis=1).astype(np.int64)
    return scores, counts, s


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.result: Tensors | None = None

    def done(self) -> bool:
        """Whether it was told."""
        return self.result is not None

    def set_result(self, result: Tensors, /) -> None:
        """Keep the answer."""
        self.result = result

    def set_exception(self, exception: WeirError, /) -> None:
        """Nothing fails here."""
        raise exception


class Client(NamedTuple):
    """What one client sends."""

    rows: int
    width: int
    wanted: list[WantedOutput]
    binary: bool

    def asked(self, number: int) -> Asked:
        """The request, whose values are nobody else's."""
        first = 100 * number
        values = [float(first + n) for n in range(self.rows * self.width)]
        names = [f"{number}.{row}" for row in range(self.rows)]
        inputs = (
            GivenTensor("x", "FP32", (self.rows, self.width), values),
            GivenTensor("s", "BYTES", (self.rows, 1), names),
        )
        return Asked(inputs, self.wanted, binary=self.binary)


def _wanted(name: str) -> st.SearchStrategy[WantedOutput]:
    classes = st.just(0) if name == "names" else st.integers(0, 4)
    return st.builds(WantedOutput, st.just(name), st.sampled_from([None, False, True]), classes)


some = st.lists(st.sampled_from([spec.name for spec in OUTPUTS]), unique=True).flatmap(
    lambda names: st.tuples(*map(_wanted, names)).map(list)
)
clients = st.lists(
    st.builds(Client, st.integers(0, 3), st.integers(1, 2), some, st.booleans()),
    min_size=1,
    max_size=12,
)


def check_form(client: Client, outputs: list[OutputTensor]) -> None:
    """Hold the outputs against what was asked for."""
    wanted = client.wanted or [WantedOutput(spec.name) for spec in OUTPUTS]
    assert [output.name for output in outputs] == [want.name for want in wanted]
    for want, output in zip(wanted, outputs, strict=True):
        assert output.binary is (client.binary if want.binary is None else want.binary)
        spec = next(spec for spec in OUTPUTS if spec.name == want.name)
        columns = min(want.classes or 9, spec.shape[1])
        assert output.values.shape == (client.rows, columns)
        assert output.datatype == ("BYTES" if want.classes else spec.datatype)


@settings(max_examples=150)
@given(clients)
def test_everybody_gets_the_outputs_they_asked_for(sent: list[Client]) -> None:
    """Any subset in any order, packed or not, as classes or not: as if each had come alone."""
    with virtual_time() as loop:
        batcher = Batcher(batched=True, max_rows=16, queue_max_rows=1000)
        link = Holding(batcher)
        requests = [CONTRACT.fit(client.asked(number)) for number, client in enumerate(sent)]
        answers = [Told() for _ in sent]
        for request, answer in zip(requests, answers, strict=True):
            batcher.enqueue(answer, request.inputs, request.rows, loop.now + 30)
        loop.turn()
        while link.out:
            link.answer(run)

        for client, request, answer in zip(sent, requests, answers, strict=True):
            assert answer.result is not None
            outputs = CONTRACT.outputs(request, answer.result)
            alone = CONTRACT.outputs(request, run(request.inputs))
            check_form(client, outputs)
            for got, own in zip(outputs, alone, strict=True):
                np.testing.assert_array_equal(got.values, own.values)
                assert got.values.dtype == own.values.dtype


@given(clients)
def test_a_contract_gives_tensors_that_can_be_joined(sent: list[Client]) -> None:
    """Batches join the bytes of tensors: they are packed, and of the signature's very datatype."""
    for number, client in enumerate(sent):
        numbers, strings = CONTRACT.fit(client.asked(number)).inputs
        assert numbers.dtype == np.dtype(np.float32)
        assert numbers.flags.c_contiguous
        assert strings.dtype == np.dtype(object)
