"""A request that breaks the contract says what of it: one of a few reasons."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from configs.errors import BadTensor, Breach
from registry.card import Feature
from registry.signature import Datatype, TensorSpec
from serve.protocol.asked import Asked, GivenTensor
from serve.protocol.contract import Contract
from tests.serve.protocol.requests import Y, contract, contract_of, parse, x

BOTH = contract_of(
    [TensorSpec(name=name, datatype=Datatype.FP32, shape=(-1, 3)) for name in ("x", "w")], [Y]
)
NUMBERS = [1, 2, 3]


@pytest.mark.parametrize(
    ("reads", "sent", "breach"),
    [
        pytest.param(BOTH, [x(NUMBERS)], Breach.MISSING_INPUT, id="missing"),
        pytest.param(
            contract(), [x(NUMBERS), {**x(NUMBERS), "name": "z"}], Breach.UNKNOWN_INPUT, id="extra"
        ),
        pytest.param(contract(), [x(NUMBERS), x(NUMBERS)], Breach.UNKNOWN_INPUT, id="twice"),
        pytest.param(contract(), [{**x(NUMBERS), "name": "z"}], Breach.RENAMED_INPUT, id="renamed"),
        pytest.param(
            BOTH, [x(NUMBERS), {**x(NUMBERS), "name": "z"}], Breach.RENAMED_INPUT, id="one-renamed"
        ),
        pytest.param(contract(), [x(NUMBERS, datatype="FP64")], Breach.DATATYPE, id="datatype"),
        pytest.param(contract(), [x([1, 2], [1, 2])], Breach.SHAPE, id="shape"),
        pytest.param(contract(), [x(NUMBERS, [1, 4])], Breach.SHAPE, id="other-shape"),
        pytest.param(contract(), [x(NUMBERS, "wide")], Breach.SHAPE, id="no-shape"),
        pytest.param(contract(), [x([[1, 2], [3]])], Breach.SHAPE, id="nested"),
        pytest.param(contract(), [x([1, 2])], Breach.SHAPE, id="too-few-values"),
        pytest.param(
            BOTH,
            [x(NUMBERS), {**x(NUMBERS * 2, [2, 3]), "name": "w"}],
            Breach.SHAPE,
            id="rows",
        ),
        pytest.param(contract(), [x([1, "2", 3])], Breach.VALUE, id="text"),
        pytest.param(contract(), [x([1, None, 3])], Breach.VALUE, id="null"),
        pytest.param(contract(Datatype.INT8), [x([1, 900, 3], datatype="INT8")], Breach.VALUE,
                     id="too-large"),
    ],
)  # fmt: skip
def test_the_reason_is_told_with_the_error(
    reads: Contract, sent: list[Any], breach: Breach
) -> None:
    """Of inputs that miss, are too many, or go by another name, of types, shapes and values."""
    with pytest.raises(BadTensor) as caught:
        parse(reads, *sent)
    assert caught.value.breach is breach
    assert pickle.loads(pickle.dumps(caught.value)).breach is breach  # noqa: S301


def test_an_output_that_is_not_there() -> None:
    """It is asked for by a name that the model does not have."""
    with pytest.raises(BadTensor) as caught:
        parse(contract(), x(NUMBERS), outputs=[{"name": "z"}])
    assert caught.value.breach is Breach.OUTPUT


def test_a_value_that_must_be_there() -> None:
    """NaN for a feature that may not be missing, packed."""
    reads = contract(features=[Feature(name="age", input="x", column=1)])
    data = memoryview(np.array([1, np.nan, 3], dtype=np.float32).tobytes())
    with pytest.raises(BadTensor, match="'age' is missing") as caught:
        reads.fit(Asked((GivenTensor("x", "FP32", (1, 3), data),)))
    assert caught.value.breach is Breach.VALUE
    with pytest.raises(BadTensor) as caught:
        reads.fit(Asked((GivenTensor("x", "FP32", (1, 3), data[:4]),)))
    assert caught.value.breach is Breach.SHAPE
