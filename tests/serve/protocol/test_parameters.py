"""Parameters that mean something do it, those that are not offered say so, others pass."""

from __future__ import annotations

from typing import Any

import pytest

from configs.errors import BadInput, BadTensor, NotSupported, WeirError
from serve.protocol import grpc_request, http_request
from serve.protocol.asked import Asked
from tests.serve.protocol.encoders import message
from tests.serve.protocol.requests import body, x


def request(
    of_request: dict[str, Any] | None = None,
    of_input: dict[str, Any] | None = None,
    of_output: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A request with these parameters."""
    sent: dict[str, Any] = {"inputs": [x([1.0, 2.0, 3.0], [1, 3])]}
    if of_request is not None:
        sent["parameters"] = of_request
    if of_input is not None:
        sent["inputs"][0]["parameters"] = of_input
    if of_output is not None:
        sent["outputs"] = [{"name": "y", "parameters": of_output}]
    return sent


def over_json(sent: dict[str, Any]) -> Asked:
    """What is asked for over HTTP."""
    return http_request.read(body(*sent["inputs"], **{k: sent[k] for k in sent if k != "inputs"}))


def over_grpc(sent: dict[str, Any]) -> Asked:
    """What is asked for over gRPC."""
    return grpc_request.read(message(sent))


both = pytest.mark.parametrize("read", [over_json, over_grpc])


@both
@pytest.mark.parametrize(
    ("microseconds", "wanted"),
    [
        pytest.param(1, 1e-6, id="one"),
        pytest.param(2_500_000, 2.5, id="seconds"),
        pytest.param(0, None, id="none"),
        pytest.param(2**62, 2**62 / 1e6, id="ages"),
    ],
)
def test_timeout_counts_in_microseconds(read: Any, microseconds: int, wanted: float | None) -> None:
    """`timeout` is how long the client waits; 0 means that it does not say."""
    assert read(request({"timeout": microseconds})).timeout_s == pytest.approx(wanted)


@both
@pytest.mark.parametrize("timeout", [-1, 1.5, "1", True])
def test_a_timeout_that_is_none(read: Any, timeout: object) -> None:
    """Anything but a whole number of microseconds is refused."""
    with pytest.raises(BadInput, match="'timeout' must be a whole number"):
        read(request({"timeout": timeout}))


@both
@pytest.mark.parametrize("sequence", [7, "mine"])
def test_sequences_are_refused(read: Any, sequence: object) -> None:
    """A client that counts on state is told that there is none."""
    with pytest.raises(NotSupported, match="sequences"):
        read(request({"sequence_id": sequence, "sequence_start": True}))


@both
@pytest.mark.parametrize("sequence", [0, "", False])
def test_no_sequence_is_one(read: Any, sequence: object) -> None:
    """Clients that send the empty sequence mean none."""
    read(request({"sequence_id": sequence, "sequence_start": False}))


@both
@pytest.mark.parametrize("place", range(3))
def test_shared_memory_is_refused(read: Any, place: int) -> None:
    """Wherever it stands, shared memory is named and not taken for something else."""
    region = {
        "shared_memory_region": "r",
        "shared_memory_byte_size": 12,
        "shared_memory_offset": 0,
    }
    parameters: list[dict[str, Any] | None] = [None, None, None]
    parameters[place] = region

    with pytest.raises(NotSupported, match="shared memory"):
        read(request(*parameters))


@both
@pytest.mark.parametrize("place", range(3))
def test_other_parameters_pass(read: Any, place: int) -> None:
    """Parameters that mean nothing here are no fault."""
    parameters: list[dict[str, Any] | None] = [None, None, None]
    parameters[place] = {"priority": 1, "triton_x": "a", "ratio": 0.5, "on": True}

    read(request(*parameters))


@both
@pytest.mark.parametrize(
    ("sent", "error", "says"),
    [
        pytest.param(request({"binary_data_output": 1}), BadInput, "true or false", id="flag"),
        pytest.param(request(None, None, {"binary_data": "no"}), BadInput, "'y'", id="binary"),
        pytest.param(
            request(None, None, {"classification": -1}), BadInput, "classes", id="classes-negative"
        ),
        pytest.param(
            request(None, None, {"classification": True}), BadInput, "classes", id="classes-bool"
        ),
        pytest.param(
            request(None, None, {"classification": 2.0}), BadInput, "classes", id="classes-float"
        ),
        pytest.param(
            request(None, {"binary_data_size": -1}), BadTensor, "number of bytes", id="size"
        ),
    ],
)
def test_parameters_of_the_wrong_kind(
    read: Any, sent: dict[str, Any], error: type[WeirError], says: str
) -> None:
    """A parameter that means something must have its own kind of value."""
    with pytest.raises(error, match=says):
        read(sent)


@pytest.mark.parametrize("parameters", [[], "a", 1, True, {"a": None}, {"a": []}, {"a": {}}])
@pytest.mark.parametrize("place", range(3))
def test_parameters_are_scalars_by_name(parameters: Any, place: int) -> None:
    """Whatever is no map of scalars is refused where it stands."""
    given: list[Any] = [None, None, None]
    given[place] = parameters

    with pytest.raises(BadInput, match="'parameters' of"):
        over_json(request(*given))


def test_how_outputs_are_wanted() -> None:
    """Number of classes and way of sending are kept by output."""
    (wanted,) = over_json(request(None, None, {"classification": 3, "binary_data": True})).outputs
    (silent,) = over_json(request(None, None, {})).outputs

    assert (wanted.name, wanted.binary, wanted.classes) == ("y", True, 3)
    assert (silent.binary, silent.classes) == (None, 0)
