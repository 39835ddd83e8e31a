"""A policy beside the rules of other tools, in the same traffic."""

from __future__ import annotations

from collections.abc import Callable

from configs.policy import Policy
from serve.rollout.rivals.argo import Argo
from serve.rollout.rivals.flagger import Flagger
from serve.rollout.rivals.rule import Rule
from serve.rollout.rivals.sagemaker import SageMaker
from serve.rollout.simulation.outcomes import Outcomes
from serve.rollout.simulation.rival_runs import run_rival
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import Traffic
from serve.rollout.simulation.weir_runs import run_weir

RIVALS: tuple[Callable[[int], Rule], ...] = (Flagger, Argo, SageMaker)


def side_by_side(policy: Policy, traffic: Traffic, setting: Setting) -> list[Outcomes]:
    """How rollouts end under the policy, and under each of the other rules."""
    others = [run_rival(rule(setting.rollouts), traffic, setting) for rule in RIVALS]
    return [run_weir(policy, traffic, setting), *others]
