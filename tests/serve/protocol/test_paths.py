"""Paths of the protocol ask for what they say; all others are unknown."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import NotFound, VersionNotFound
from serve.protocol.paths import POSTED, Ask, Endpoint, endpoint


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
        ("/v2/models/credit/explain", Endpoint(Ask.EXPLAIN, "credit")),
        ("/v2/models/credit/versions/7/explain", Endpoint(Ask.EXPLAIN, "credit", 7)),
        ("/v2/models/credit/versions/7", Endpoint(Ask.MODEL, "credit", 7)),
        ("/v2/models/credit/versions/7/ready", Endpoint(Ask.MODEL_READY, "credit", 7)),
        ("/v2/models/credit/versions/7/infer", Endpoint(Ask.INFER, "credit", 7)),
        ("/v2/models/credit/versions/7/infer/", Endpoint(Ask.INFER, "credit", 7)),
        ("/v2/models/versions/infer", Endpoint(Ask.INFER, "versions")),
        ("/v2/models/credit/versions/stable/infer", Endpoint(Ask.INFER, "credit", "stable")),
        ("/v2/models/credit/versions/candidate", Endpoint(Ask.MODEL, "credit", "candidate")),
        ("/v2/models/", Endpoint(Ask.MODELS)),
        ("/v2/models/stats", Endpoint(Ask.ALL_STATISTICS)),
        ("/v2/models/credit/stats", Endpoint(Ask.STATISTICS, "credit")),
        ("/v2/models/credit/versions/7/config/", Endpoint(Ask.CONFIG, "credit", 7)),
        ("/v2/repository/index", Endpoint(Ask.INDEX)),
        ("/v2/repository/models/credit/load", Endpoint(Ask.LOAD, "credit")),
        ("/v2/repository/models/credit/unload/", Endpoint(Ask.UNLOAD, "credit")),
        ("/v1/models/credit/feedback", Endpoint(Ask.FEEDBACK, "credit")),
        ("/v1/models/credit/groups/", Endpoint(Ask.GROUPS, "credit")),
    ],
)
def test_paths_of_the_protocol(path: str, wanted: Endpoint) -> None:
    """Each path of the protocol is understood, with its model and version."""
    assert endpoint(path) == wanted


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/v1", "/v2/models//infer", "/v2/repository", "//v2"),
        *("/v2/models/credit/predict", "/v2/models/credit/infer/more", "/v2/health"),
        *("/v2/repository/models/credit", "/v2/repository/models//load", "/v2/repository/models"),
        *("/v2/models/credit/versions", "/v2/models//versions/1/infer", "/V2"),
        *("/v1/models/credit", "/v1/models//feedback", "/v1/models/credit/feedback/more"),
        *("/v2/models/credit/feedback", "/v1/models/credit/infer"),
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


def test_what_is_posted() -> None:
    """What asks a model, the repository and what is told afterwards take POST, all else GET."""
    posted = {ask for ask in Ask if Endpoint(ask).method == "POST"}

    afterwards = {Ask.FEEDBACK, Ask.GROUPS}
    asked = {Ask.INFER, Ask.EXPLAIN}
    assert posted == POSTED == {*asked, Ask.INDEX, Ask.LOAD, Ask.UNLOAD} | afterwards
    assert {Endpoint(ask).method for ask in Ask if ask not in posted} == {"GET"}


@given(st.lists(st.sampled_from(["v2", "models", "versions", "infer", "1", "", "x"])).map("/".join))
def test_any_path_is_understood_or_not_found(path: str) -> None:
    """No path raises anything but `NotFound`."""
    with contextlib.suppress(NotFound):
        assert endpoint(f"/{path}").ask in Ask


def test_a_path_too_long_to_be_remembered_leads_nowhere() -> None:
    """Paths are kept once they are understood, so they must have an end."""
    assert endpoint(f"/v2/models/{'m' * 64}/versions/123456789/ready").model == "m" * 64
    with pytest.raises(NotFound):
        endpoint(f"/v2/models/{'m' * 512}/ready")
