"""Paths of the protocol ask for what they say; all others are unknown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import NotFound, VersionNotFound
from serve.edge.paths import Ask, Endpoint, endpoint


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v2", Endpoint(Ask.SERVER)),
        ("/v2/", Endpoint(Ask.SERVER)),
        ("/v2/health/live", Endpoint(Ask.LIVE)),
        ("/v2/health/ready", Endpoint(Ask.READY)),
        ("/v2/models/credit", Endpoint(Ask.MODEL, "credit")),
        ("/v2/models/credit/ready", Endpoint(Ask.MODEL_READY, "credit")),
        ("/v2/models/credit/infer", Endpoint(Ask.INFER, "credit")),
        ("/v2/models/credit/versions/7", Endpoint(Ask.MODEL, "credit", 7)),
        ("/v2/models/credit/versions/7/ready", Endpoint(Ask.MODEL_READY, "credit", 7)),
        ("/v2/models/credit/versions/7/infer", Endpoint(Ask.INFER, "credit", 7)),
        ("/v2/models/credit/versions/7/infer/", Endpoint(Ask.INFER, "credit", 7)),
        ("/v2/models/versions/infer", Endpoint(Ask.INFER, "versions")),
    ],
)
def test_paths_of_the_protocol(path: str, wanted: Endpoint) -> None:
    """Each path of the protocol is understood, with its model and version."""
    assert endpoint(path) == wanted


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/v1", "/v2/models", "/v2/models/", "/v2/models//infer", "//v2"),
        *("/v2/models/credit/explain", "/v2/models/credit/infer/more", "/v2/health"),
        *("/v2/models/credit/versions", "/v2/models//versions/1/infer", "/V2"),
    ],
)
def test_unknown_paths(path: str) -> None:
    """A path that is none of ours is not found."""
    with pytest.raises(NotFound):
        endpoint(path)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "²", "1234567890"])
def test_versions_are_numbers(number: str) -> None:
    """A version that is not a number is not found, by what was asked."""
    with pytest.raises(VersionNotFound, match="versions of credit are numbers"):
        endpoint(f"/v2/models/credit/versions/{number}/infer")


def test_only_inference_is_posted() -> None:
    """Inference takes POST, everything else GET."""
    methods = {ask: Endpoint(ask).method for ask in Ask}

    assert methods.pop(Ask.INFER) == "POST"
    assert set(methods.values()) == {"GET"}


@given(st.lists(st.sampled_from(["v2", "models", "versions", "infer", "1", "", "x"])).map("/".join))
def test_any_path_is_understood_or_not_found(path: str) -> None:
    """No path raises anything but `NotFound`."""
    with contextlib.suppress(NotFound):
        assert endpoint(f"/{path}").ask in Ask
