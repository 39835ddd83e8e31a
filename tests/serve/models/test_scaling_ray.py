"""Ray Serve follows a version's load soon and without flapping: its own delays, a clock of ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from configs.settings import Hosts
from serve.models.busy import Load

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # What Ray Serve does by itself.
    from ray.serve._private.common import DeploymentID, ReplicaID
    from ray.serve.autoscaling_policy import _apply_autoscaling_config
    from ray.serve.config import AutoscalingConfig, AutoscalingContext

    from serve.models.scaling_ray import number_of_replicas, policy, report

DEPLOYMENT = DeploymentID("host", "version/m/1")
STEP_S = 0.1
MEAN_S = 3.0
START_S = 4.0


def test_without_a_maximum_the_number_is_fixed() -> None:
    """That is the default, and Ray Serve asks nobody how busy it is."""
    assert number_of_replicas(Hosts(replicas=3)) == {"num_replicas": 3}
    assert number_of_replicas(Hosts(replicas=3, replicas_max=3)) == {"num_replicas": 3}


@dataclass
class Simulation:
    """Ray Serve's autoscaling, with its own delays, over a version with a given amount of work.

    `work` gives how many replicas' whole time is asked for at a moment. A replica takes four
    seconds to start; what it reports is the mean over three seconds, and up to a second old.
    """

    work: Callable[[float], float]
    config: AutoscalingConfig
    now: float = 1000.0
    began: list[float] = field(default_factory=lambda: [0.0])
    past: list[float] = field(default_factory=list)
    state: dict[str, object] = field(default_factory=dict)
    targets: list[tuple[float, int]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        decide = _apply_autoscaling_config(policy)
        end = self.now + seconds
        while self.now < end:
            self.now += STEP_S
            ready = [began for began in self.began if self.now >= began + START_S]
            self.past.append(min(self.work(self.now) / len(ready), 1.0))
            target, self.state = decide(self._context(len(ready)))
            target = max(self.config.min_replicas, min(self.config.max_replicas, target))
            if target != len(self.began):
                self.targets.append((self.now, target))
            self.began = (self.began + [self.now] * target)[:target]

    def _context(self, ready: int) -> AutoscalingContext:
        recent = self.past[-round((MEAN_S + 1.0) / STEP_S) : -round(1.0 / STEP_S)] or [0.0]
        said = report(Load(sum(recent) / len(recent), 0.0))
        replicas = [ReplicaID(str(number), DEPLOYMENT) for number in range(ready)]
        return AutoscalingContext(
            deployment_id=DEPLOYMENT,
            deployment_name="host",
            app_name="version/m/1",
            current_num_replicas=ready,
            target_num_replicas=len(self.began),
            running_replicas=replicas,
            total_num_requests=0.0,
            total_queued_requests=0.0,
            aggregated_metrics={
                name: dict.fromkeys(replicas, value) for name, value in said.items()
            },
            raw_metrics=None,
            capacity_adjusted_min_replicas=1,
            capacity_adjusted_max_replicas=4,
            policy_state=dict(self.state),
            last_scale_up_time=None,
            last_scale_down_time=None,
            current_time=self.now,
            config=self.config,
        )


def simulated(work: Callable[[float], float], monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """A version of one to four replicas; Ray Serve's delays go by its clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        options = number_of_replicas(Hosts(replicas_max=4, scale_down_s=60.0))
    simulation = Simulation(work, options["autoscaling_config"])
    clock = SimpleNamespace(time=lambda: simulation.now)
    monkeypatch.setattr("ray.serve.autoscaling_policy.time", clock)
    return simulation


def test_a_busy_version_gets_another_replica_within_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A load of one and a half replicas is met by two or three."""
    simulation = simulated(lambda _now: 1.5, monkeypatch)
    simulation.run(60.0)

    (first_at, first), *_ = simulation.targets
    assert first == 2
    assert first_at < 1010.0
    assert len(simulation.began) in (2, 3)


def test_an_idle_version_goes_back_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rush of a minute, then nothing: all but one end, a minute after it and not before."""
    simulation = simulated(lambda now: 3.0 if now < 1060.0 else 0.05, monkeypatch)
    simulation.run(60.0)
    assert len(simulation.began) == 4
    simulation.run(59.0)
    assert len(simulation.began) == 4
    simulation.run(10.0)
    assert len(simulation.began) == 1


def test_a_load_with_peaks_does_not_flap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of much, ten of little, for ten minutes: up once, and never down."""
    simulation = simulated(lambda now: 1.6 if now % 20.0 < 10.0 else 0.2, monkeypatch)
    simulation.run(600.0)

    numbers = [number for _, number in simulation.targets]
    assert numbers == sorted(numbers)
    assert len(numbers) <= 2
