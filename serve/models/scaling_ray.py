"""Ray shell: Ray Serve's autoscaling of version replicas, by the load that they report themselves.

Ray Serve asks each replica (`record_autoscaling_stats`), takes the mean over a few seconds, calls
`policy` in its controller, and has a changed wish wait for a while before it follows it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ray.serve.config import AutoscalingConfig, AutoscalingContext

from configs.settings import Hosts
from serve.models.busy import Load
from serve.models.scaling import wanted

_REPORT_S = 1.0
_MEAN_S = 3.0
_UP_AFTER_S = 2.0
_BUSY, _WAITING = "busy", "waiting"


def report(load: Load) -> dict[str, float]:
    """Put a load into the words that Ray Serve carries from a replica to the policy."""
    return {_BUSY: load.busy, _WAITING: load.waiting}


def policy(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Give how many replicas there should be; Ray Serve keeps to the bounds and the delays."""
    metrics = context.aggregated_metrics or {}
    waiting = metrics.get(_WAITING, {})
    loads = [
        Load(busy, waiting.get(replica, 0.0)) for replica, busy in metrics.get(_BUSY, {}).items()
    ]
    return wanted(loads, context.target_num_replicas), {}


def number_of_replicas(hosts: Hosts) -> Mapping[str, Any]:
    """Give the options of a version's deployment that say how many replicas it has."""
    if not hosts.scales:
        return {"num_replicas": hosts.replicas}
    with warnings.catch_warnings():
        # Ray Serve announces an environment variable for `metrics_interval_s`, and reads none yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        scaling = AutoscalingConfig.model_validate(
            {
                "min_replicas": hosts.replicas,
                "max_replicas": hosts.most_replicas,
                "metrics_interval_s": _REPORT_S,
                "look_back_period_s": _MEAN_S,
                "upscale_delay_s": _UP_AFTER_S,
                "downscale_delay_s": hosts.scale_down_s,
                "policy": {"policy_function": f"{__name__}:policy"},
            }
        )
    return {"autoscaling_config": scaling}
