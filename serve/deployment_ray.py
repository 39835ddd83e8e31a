"""What the Ray Serve deployments of a gateway have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import serve as ray_serve


def deployment(
    replica: type, name: str, how_many: Mapping[str, Any], leave_s: float
) -> ray_serve.Deployment:
    """Give a deployment of a kind of replica, which asks for no processor of its own.

    `how_many` is in the words of Ray Serve; each replica is given `leave_s` to leave.
    """
    made: ray_serve.Deployment = ray_serve.deployment(
        name=name,
        **how_many,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=leave_s,
        graceful_shutdown_wait_loop_s=0.05,
    )(replica)
    return made
