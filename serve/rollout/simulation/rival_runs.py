"""Rollouts as another tool would decide on them."""

from __future__ import annotations

import numpy as np

from configs.policy import EVENTS
from registry.records import FULL
from serve.rollout.rivals.rule import Rule
from serve.rollout.simulation.counts import CANDIDATE, Counts, Ints
from serve.rollout.simulation.outcomes import End, Outcomes
from serve.rollout.simulation.setting import Setting
from serve.rollout.simulation.traffic import Requests, Stream, Traffic


def run_rival(rule: Rule, traffic: Traffic, setting: Setting) -> Outcomes:
    """How rollouts end under a rule, in the same traffic as `weir_runs.run_weir` meets."""
    size = setting.rollouts
    stream = Stream(traffic, size, setting.seed)
    rows = np.arange(size)
    window = _nothing(size)
    after_s = np.full(size, setting.horizon_s)
    exposed, bad, requests = (np.zeros(size, np.int64) for _ in range(3))
    ticks = int(setting.horizon_s / setting.tick_s)
    for tick in range(ticks):
        now_s = tick * setting.tick_s
        weight = np.minimum(rule.weight_bp, FULL)
        going = rule.end == End.OPEN
        if not going.any():
            break
        counts, came = stream.tick(now_s, setting.tick_s, rows, weight, np.zeros_like(weight))
        exposed += came.all * going
        requests += came.total * going
        bad += bad_events(counts) * going
        window = window.plus(came)
        end_s = now_s + setting.tick_s
        if end_s % rule.interval_s < setting.tick_s:
            rule.look(end_s, window)
            window = _nothing(size)
            after_s = np.where(going & (rule.end != End.OPEN), end_s, after_s)
    return Outcomes(rule.name, rule.end, after_s, exposed, bad, requests)


def bad_events(counts: Counts) -> Ints:
    """Events of the candidate, all kinds together."""
    total: Ints = sum(
        (counts.events[metric][:, CANDIDATE] for metric in EVENTS),
        start=np.zeros(len(counts.units), np.int64),
    )
    return total


def _nothing(size: int) -> Requests:
    return Requests(*(np.zeros(size, np.int64) for _ in range(4)))
