"""What Ray is told by its environment, in which all of its processes start."""

from __future__ import annotations

_BOUNDS = {
    # Without these a proxy starts although proxies are disabled, and ending waits 30 s for it.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_SERVE_ENABLE_HA_PROXY": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    # Ray would let everything else on the machine go before the gateway.
    "RAY_worker_niceness": "0",
    "RAY_ADDRESS": "",
    # Asked for an actor while Ray has not started, or has ended, it would start a second Ray.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    # All of Ray listens on loopback: whoever reaches its ports can run what they like.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}

_QUIET = {
    # How often Ray Serve's controller looks at all replicas. Each look costs it and Ray's global
    # store about 2 ms, and a start or a failover waits for two or three: not less often than this.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.2",
    # Nobody reads what Ray and Ray Serve measure and list of themselves; what Weir does is here.
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    # Nothing of ours asks Ray for processors, memory of its store, or workers that come and go.
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_raylet_check_gc_period_milliseconds": "1000",
    "RAY_kill_idle_workers_interval_ms": "1000",
}
"""Ray's work in the background, done less often or not at all: docs/decisions/0004-lean-ray.md."""

ENVIRONMENT = {**_BOUNDS, **_QUIET}
