"""A new version on its way through a real gateway: shadow, split, promote, roll back."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest

from configs.errors import Conflict, NotFound, PreconditionFailed, VersionNotFound
from registry.records import Role
from serve.control.client import ControlClient
from tests.gateway.asking import answer_of, ask, register, wait_for
from tests.gateway.running import Running, weir
from tests.registry import models

pytestmark = pytest.mark.gateway
TWO = (models.regressor(bias=1.0), models.regressor(bias=2.0))


def test_the_way_of_a_version(gateway: Running, control: ControlClient) -> None:
    """Each step changes who answers; the log tells all of it, and can be checked."""
    model = "rollout"
    register(control, model, *TWO)
    control.set_route(model, {1: 100}, reason="first")
    moment = datetime.now(UTC)
    control.set_route(model, {1: 100}, shadow=(2, 100), reason="listen")
    assert _answers(gateway, model) == {1.0}
    assert control.promote(model, 2, "better").stable == 2
    assert _answers(gateway, model) == {2.0}
    back = control.rollback(model, "worse after all")
    assert (back.stable, back.previous) == (1, None)
    assert _answers(gateway, model) == {1.0}

    entries = [e for e in control.audit(limit=1000) if e.resource.startswith(f"models/{model}/")]
    assert [(e.action, e.reason) for e in entries] == [
        ("register", ""),
        ("register", ""),
        ("set-route", "first"),
        ("set-route", "listen"),
        ("promote", "better"),
        ("rollback", "worse after all"),
    ]
    assert {e.actor for e in entries} == {"ada"}
    assert control.verify_audit().intact
    then = control.served_at(model, moment)
    assert (then.stable, then.shadow) == (1, None)


def test_a_shadow_sees_what_is_answered(gateway: Running, control: ControlClient) -> None:
    """The shadow version's rows are counted under its own role, and nobody gets its answers."""
    model = "shadowed"
    register(control, model, *TWO)
    control.set_route(model, {1: 100}, shadow=(2, 100))
    assert not gateway.pids("version", model, 1) & gateway.pids("version", model, 2)
    for _ in range(20):
        assert answer_of(ask(gateway, model, [[0, 0, 0]])) == [1.0]

    def rows() -> dict[tuple[int, str], int]:
        return {(arm.version, arm.role): arm.rows for arm in control.signals(model).arms}

    wait_for(lambda: len(rows()) == 2, "both arms among the signals", 90.0)
    wait_for(lambda: set(rows().values()) == {20}, "20 rows of each arm", 90.0)
    assert set(rows()) == {(1, Role.STABLE), (2, Role.SHADOW)}


def test_who_was_overtaken_is_told(gateway: Running, control: ControlClient) -> None:
    """A change that was made for an older route is refused, and changes nothing."""
    model = "contested"
    register(control, model, *TWO)
    first = control.set_route(model, {1: 100})
    shared = gateway.pids("version", model)
    second = control.set_route(model, {1: 90, 2: 10}, if_generation=first.generation)
    wait_for(lambda: not gateway.pids("version", model) & shared, "hosts of their own", 90.0)
    assert not gateway.pids("version", model, 1) & gateway.pids("version", model, 2)
    with pytest.raises(PreconditionFailed):
        control.set_route(model, {2: 100}, if_generation=first.generation)
    assert control.route(model) == second
    stale = httpx.post(
        f"{gateway.control}/v1/models/{model}:promote",
        json={"version": 2, "reason": "late"},
        headers={"If-Match": f'"{first.generation}"'},
        trust_env=False,
    )
    assert stale.status_code == 412
    assert set(stale.json()) == {"error", "code", "request_id"}


def test_what_cannot_be_is_refused(control: ControlClient) -> None:
    """A version that does not exist gets no traffic; with nothing to return to, nothing does."""
    model = "refusing"
    register(control, model, TWO[0])
    with pytest.raises(Conflict):
        control.rollback(model)
    with pytest.raises(VersionNotFound):
        control.set_route(model, {9: 100})
    with pytest.raises(NotFound):
        control.route(model)


def test_many_may_ask_at_once(gateway: Running, control: ControlClient) -> None:
    """Whoever asks how things are gets an answer, also while others ask and routes change."""
    model = "popular"
    register(control, model, *TWO)

    def state(_: int) -> int:
        url = f"{gateway.control}/v1/models/{model}/versions"
        return httpx.get(url, timeout=30, trust_env=False).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(state, range(40))
        control.set_route(model, {1: 50, 2: 50})
        assert set(answers) == {200}


def test_the_same_by_commands(gateway: Running, control: ControlClient) -> None:
    """What the API does, the commands do, as processes of their own."""
    model = "typed"
    register(control, model, *TWO)
    url = ("--url", gateway.control)
    for command in (
        ("route", model, "--set", "1=100"),
        ("route", model, "--shadow", "2=100"),
        ("promote", model, "2", "--reason", "better"),
        ("rollback", model, "--reason", "worse"),
        ("audit", "verify"),
    ):
        done = weir(*command, *url)
        assert done.returncode == 0, done.stderr
    assert _answers(gateway, model) == {1.0}
    listed = weir("models", *url).stdout
    assert re.search(rf"{model}\s+2\s+1: 100 % stable", listed)


def _answers(gateway: Running, model: str) -> set[float]:
    return {answer_of(ask(gateway, model, [[0, 0, 0]]))[0] for _ in range(5)}
