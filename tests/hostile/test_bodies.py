"""Every hostile body, on every route that takes one, is refused with a code, and that is all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from configs.settings import Limits
from registry.records import FULL
from serve.protocol.paths import POSTED
from tests.hostile.bodies import all_bodies
from tests.serve.edge.test_http import INFER, row
from tests.serve.stage import Stage, stage
from tests.serve.versions import MODEL, table

pytestmark = pytest.mark.hostile

_CAP = 2**24
_INSIDES = re.compile(r"(/[a-z]+){2,}\.py|Traceback|serve\.|0x[0-9a-f]{6,}|<class|Error\(")
ROUTES = (
    *sorted(ask.value.format(model=MODEL) for ask in POSTED),
    f"/v2/models/{MODEL}/versions/1/infer",
    f"/v2/models/{MODEL}/versions/stable/infer",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that takes bodies of up to 16 MiB."""
    with stage(tmp_path_factory.mktemp("run"), Limits(body_max_bytes=_CAP)) as opened:
        opened.start_host(1)
        opened.apply(table(opened.next_generation(), {1: FULL}))
        yield opened


def test_there_are_enough() -> None:
    """The table has at least 150 bodies, each under a name of its own."""
    names = [body.name for body in all_bodies()]

    assert len(names) == len(set(names)) >= 150


@pytest.mark.parametrize("route", ROUTES)
def test_every_body_is_refused(served: Stage, route: str) -> None:
    """Each gets a 4xx with a sentence, a code and an id, and the next good request its answer."""
    outcomes: Counter[tuple[int, str]] = Counter()
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
        for body in all_bodies():
            reply = http.post(route, content=body.content, headers=dict(body.headers))
            if _is_fine_elsewhere(route, body.content):
                continue
            assert 400 <= reply.status_code < 500, (body.name, reply.status_code, reply.text)
            told = reply.json()
            assert told.keys() == {"error", "code", "request_id"}, body.name
            assert not _INSIDES.search(told["error"]), (body.name, told["error"])
            assert len(told["error"]) < 1000, body.name
            outcomes[reply.status_code, told["code"]] += 1
        assert http.post(INFER, json=row(1, 2, 3)).status_code == 200
    print(f"\n{route}: {sum(outcomes.values())} bodies, {dict(sorted(outcomes.items()))}")


def _is_fine_elsewhere(route: str, content: bytes) -> bool:
    """Whether a body asks nothing wrong of the repository: nothing at all, or no keys."""
    return route == "/v2/repository/index" and content in (b"", b"{}")
