"""What callers call their requests is remembered where labels may come under that name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from configs.settings import Limits, Settings
from registry.card import Card
from registry.records import FULL, RouteTable, ShadowArm
from serve.recorder.samples import Sample
from tests.serve.edge.test_grpc import Client, row
from tests.serve.edge.test_http import INFER
from tests.serve.edge.test_http import row as json_row
from tests.serve.observing import AWAITING
from tests.serve.stage import GRPC, Stage, stage
from tests.serve.versions import CARD, table
from tests.serve.waiting import wait_until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that speaks both protocols, with a version and its shadow."""
    settings = Settings(listen=GRPC, limits=Limits(drain_s=1.0))
    with stage(tmp_path_factory.mktemp("run"), settings=settings) as opened:
        opened.start_host(1)
        opened.start_host(2)
        yield opened


def kept(served: Stage, card: Card) -> list[Sample]:
    """What is kept of a request over each protocol and of their copies for the shadow."""
    served.apply(RouteTable(served.next_generation()))  # What is served keeps its card.
    served.apply(table(served.next_generation(), {1: FULL}, shadow=ShadowArm(2, FULL), card=card))
    recorder = served.gateway.recorder
    recorder.take()
    with httpx.Client(base_url=served.url, trust_env=False) as http:
        assert http.post(INFER, json=json_row(1, 2, 3, id="by HTTP")).status_code == 200
    calls = Client(served.grpc_port)
    calls.call("ModelInfer", row(1, 2, 3, id="by gRPC"))
    calls.channel.close()
    found: list[Sample] = []

    def all_there() -> bool:
        found.extend(recorder.take()[0])
        return len(found) == 4

    wait_until(all_there, "two requests and their copies are kept")
    return found


def test_a_version_that_awaits_labels(served: Stage) -> None:
    """By either protocol, and for the shadow version as well."""
    found = kept(served, AWAITING)

    assert sorted((each.origin.version, each.request_id) for each in found) == [
        (1, "by HTTP"),
        (1, "by gRPC"),
        (2, "by HTTP"),
        (2, "by gRPC"),
    ]


def test_any_other_version(served: Stage) -> None:
    """What no label can come for is not kept: a name may say who is asked about."""
    assert {each.request_id for each in kept(served, CARD)} == {None}
