"""A judged route answers from three arms, and the baseline's hosts are nobody else's."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from configs.policy import Policy
from configs.settings import Verify
from registry.card import Card, Lineage, Task
from registry.records import Role
from registry.registry import Registry
from registry.rollouts import RolloutState, Shares
from serve.control.client import ControlClient
from tests.gateway.asking import infer_path, tensor, wait_for
from tests.gateway.conftest import QUICK
from tests.gateway.load import keeps_up, load
from tests.gateway.running import Running, running_gateway
from tests.registry import models

pytestmark = pytest.mark.gateway
MODEL = "compared"
BIAS = 1.0
ASKED = 3000
SHARES = Shares(candidate_bp=2000, baseline_bp=2000)
BACK_S = 90.0


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway that begins with a rollout whose candidate has a fifth, as its baseline has."""
    folder = tmp_path_factory.mktemp("compared")
    _begin_rollout(folder / "data")
    with running_gateway(folder, QUICK) as running:
        yield running


def test_three_arms_in_their_shares(compared: Running) -> None:
    """Each arm says who it is and has its part of the traffic, within five standard deviations."""
    with httpx.Client(base_url=compared.http, trust_env=False, timeout=40) as client:
        arms = Counter(_arm(client) for _ in range(ASKED))

    hosts = [
        compared.pids(role, MODEL, version)
        for role, version in (("version", 1), ("version", 2), ("baseline", 1))
    ]
    assert [len(pids) for pids in hosts] == [1, 1, 1]
    assert len(set.union(*hosts)) == 3
    assert set(arms) == {("1", Role.STABLE), ("2", Role.CANARY), ("1", Role.BASELINE)}
    spread = 5 * (ASKED * 0.2 * 0.8) ** 0.5
    assert abs(arms["2", Role.CANARY] - ASKED / 5) <= spread
    assert abs(arms["1", Role.BASELINE] - ASKED / 5) <= spread


def test_the_baselines_rows_are_the_stable_versions(compared: Running) -> None:
    """The monitors watch one stream of the version, and counts tell the arms apart."""
    with (
        ControlClient(compared.control, "ada") as control,
        httpx.Client(base_url=compared.http, trust_env=False, timeout=40) as client,
    ):
        for _ in range(100):
            _arm(client)
        arms = {Role.STABLE, Role.CANARY, Role.BASELINE}
        wait_for(lambda: _counted(compared) == arms, "counts of all arms", BACK_S)

        def watched() -> set[tuple[int, str]]:
            return {(arm.version, arm.role) for arm in control.signals(MODEL).arms}

        wait_for(lambda: len(watched()) == 2, "two arms among the signals", BACK_S)
        assert watched() == {(1, Role.STABLE), (2, Role.CANARY)}


def test_the_death_of_a_baseline_costs_no_request(compared: Running) -> None:
    """The stable version answers for it, as itself, until there is a new one."""
    before = compared.pids("baseline", MODEL)
    with load(compared, MODEL, BIAS) as tally:
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        keeps_up(tally)
        wait_for(lambda: bool(compared.pids("baseline", MODEL) - before), "a new baseline", BACK_S)
        keeps_up(tally)
    assert dict(tally.failures) == {}
    assert tally.silent == 0, "a connection was closed without notice"
    with httpx.Client(base_url=compared.http, trust_env=False, timeout=40) as client:
        wait_for(lambda: _arm(client)[1] == Role.BASELINE, "an answer of the baseline", BACK_S)


def _begin_rollout(data: Path) -> None:
    policy = Policy(steps=(20, 50), baseline_max=20).model_dump_json()
    with closing(Registry.open(data, Verify())) as registry:
        for owner in ("ada", "bob"):  # Else it would be the same version.
            card = Card(task=Task.REGRESSION, lineage=Lineage(owner=owner))
            digest = registry.put_artifact(models.regressor(BIAS).SerializeToString())
            registry.register(MODEL, digest, card, None, owner)
        registry.set_route(MODEL, {1: 100}, None, "ada", "first")
        begun = registry.start_rollout(MODEL, 2, policy, "ada", "better")
        after = replace(begun, state=RolloutState.CANARY, number=begun.number + 1, reason="a fifth")
        registry.change_rollout(begun, after, "advance", "{}", "ada", SHARES)


def _counted(compared: Running) -> set[str]:
    """The arms that the metrics tell of."""
    page = httpx.get(f"{compared.control}/metrics", trust_env=False, timeout=40).text
    lines = [
        line
        for line in page.splitlines()
        if line.startswith("weir_inference_duration_seconds_count") and f'"{MODEL}"' in line
    ]
    return {arm for line in lines for arm in re.findall(r'weir_arm="(\w+)"', line)}


def _arm(client: httpx.Client) -> tuple[str, str]:
    """The version that answers a request, and the arm that it says it is."""
    answer = client.post(infer_path(MODEL), json={"inputs": [tensor([[1.0, 2.0, 3.0]])]})
    answer.raise_for_status()
    return answer.headers["Weir-Version"], answer.headers["Weir-Arm"]
