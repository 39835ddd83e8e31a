"""The limit under load, by simulation: what is asked is answered soon or refused, never queued."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from configs.settings import Limits
from serve.admission.limit import Bounds, Limit
from tests.serve.admission.simulation import Outcome, Rate, Run, Simulation

TARGET_S = 0.02
BOUNDS = Bounds(wait_target_s=TARGET_S, in_flight_max=1024)
DEFAULT = Bounds(Limits().wait_target_s, Limits().in_flight_max)
ALWAYS = (0.0, 1e9)


def each(seconds: float) -> Run:
    """A model that pays for every row."""
    return lambda _now, jobs: seconds * jobs


def whole(seconds: float) -> Run:
    """A model whose run takes as long for many rows as for one."""
    return lambda _now, _jobs: seconds


def steady(per_s: float) -> Rate:
    """So many requests a second, always."""
    return lambda _now: per_s


@dataclass(frozen=True, slots=True)
class Model:
    """A run, how many jobs share one, its replicas, and how many answers tell enough."""

    run: Run
    batch_max: int = 256
    replicas: int = 1
    answers: float = 4000.0

    @property
    def capacity(self) -> float:
        """Answers a second, at most."""
        return self.replicas * self.batch_max / self.run(0.0, self.batch_max)

    @property
    def end(self) -> float:
        """How long it takes until enough answers can have been given."""
        return self.answers / self.capacity

    def target_s(self, bounds: Bounds) -> float:
        """How long a request may wait."""
        return max(bounds.wait_target_s, 4 * self.run(0.0, 1))

    def load(self, times: float, bounds: Bounds = BOUNDS) -> Outcome:
        """Ask for so many times the capacity."""
        rate = steady(times * self.capacity)
        return Simulation(Limit(bounds), self.run, rate, self.batch_max, self.replicas).until(
            self.end
        )


MODELS = {
    "6 µs a row beside 150 µs": Model(lambda _now, jobs: 150e-6 + 6e-6 * jobs, 16),
    "150 µs, one by one": Model(whole(150e-6), 1),
    "5 ms a batch": Model(whole(5e-3), 16),
    "5 ms a row": Model(each(5e-3)),
    "5 ms a row, four replicas": Model(each(5e-3), replicas=4),
    "5 ms, one by one": Model(whole(5e-3), 1),
    "5 ms, one by one, four replicas": Model(whole(5e-3), 1, 4),
    "1 s a batch": Model(whole(1.0), 16, answers=400.0),
    "1 s, one by one": Model(whole(1.0), 1, answers=400.0),
    "1 s, one by one, four replicas": Model(whole(1.0), 1, 4, answers=400.0),
}
every_target = pytest.mark.parametrize("bounds", [BOUNDS, DEFAULT], ids=["20 ms", "default"])
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=range(len(MODELS)))


@every_model
@every_target
@pytest.mark.parametrize("times", [2.0, 5.0])
def test_an_overloaded_model_never_idles_and_nobody_waits_long(
    model: Model, bounds: Bounds, times: float
) -> None:
    """At 2 and 5 times capacity 95 % of it is answered, and waits stay near their target."""
    outcome = model.load(times, bounds)

    settled = (model.end / 2, model.end)
    two_runs = 2 * model.run(0.0, 1)
    assert outcome.per_s(*settled) >= 0.95 * model.capacity
    assert outcome.quantile(0.5, *settled) <= two_runs + 1.25 * model.target_s(bounds)
    assert outcome.quantile(0.99, *settled) <= two_runs + 5 * model.target_s(bounds)


@every_model
@every_target
def test_a_model_at_half_load_refuses_nobody(model: Model, bounds: Bounds) -> None:
    """At half of capacity bursts pass, also those of a model that takes a second."""
    assert model.load(0.5, bounds).share_refused(*ALWAYS) == 0.0


@every_model
@every_target
def test_a_model_at_capacity_refuses_few(model: Model, bounds: Bounds) -> None:
    """At exactly its capacity, a model answers at least five of six."""
    assert model.load(1.0, bounds).share_refused(*ALWAYS) <= 1 / 6


@pytest.mark.parametrize("row_s", [3e-6, 12e-6, 30e-6])
def test_clients_who_wait_for_their_answers_are_no_overload(row_s: float) -> None:
    """By default 32 clients in a closed loop that ask 64 rows each are all let in."""
    limit, now = Limit(DEFAULT), 0.0
    for _ in range(10_000):
        now += 4 * 64 * row_s
        limit.ran(now, 4, 4 * 64 * row_s, in_flight=32, replicas=1)
        assert all(limit.admits(in_flight) for in_flight in range(28, 32))


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_a_model_that_wants_large_batches_gets_them(seconds: float) -> None:
    """Where more in flight means more answers, the limit grows until nothing is lost by it."""
    model = Model(whole(seconds), 128, answers=128 * 60)
    outcome = model.load(2.0)

    assert outcome.per_s(0.8 * model.end, model.end) >= 0.95 * model.capacity


@every_target
@pytest.mark.parametrize("batch_max", [256, 1])
@pytest.mark.parametrize("times", [0.7, 1.5])
def test_a_model_that_slows_down_for_a_while(bounds: Bounds, batch_max: int, times: float) -> None:
    """While runs take ten times as long, no answer takes a second after 10 s; then all is well."""

    def run(now: float, jobs: int) -> float:
        return 5e-3 * jobs * (10 if 20 <= now < 80 else 1)

    simulation = Simulation(Limit(bounds), run, steady(times * 200), batch_max)
    outcome = simulation.until(130.0)

    assert outcome.per_s(30, 80, within_s=1.0) >= 0.99 * outcome.per_s(30, 80)
    assert outcome.per_s(30, 80) >= 0.9 * 20
    assert outcome.mean_limit(30, 80) < 0.8 * outcome.mean_limit(10, 20)
    assert outcome.mean_limit(85, 130) >= 0.9 * outcome.mean_limit(5, 20)
    assert outcome.share_refused(100, 130) <= outcome.share_refused(10, 20) + 0.05


@pytest.mark.parametrize("model", [MODELS["5 ms a row"], MODELS["5 ms, one by one"]])
def test_shadow_work_stops_before_anybody_is_refused(model: Model) -> None:
    """Copies are made at half load, ever fewer beyond, and hardly any once requests are refused."""
    shares = {times: model.load(times) for times in (0.5, 0.9, 2.0)}

    assert shares[0.5].share_copied >= 0.95
    assert shares[0.9].share_copied < 0.8
    assert shares[2.0].share_copied < 0.02


def test_no_copy_beside_a_refusal() -> None:
    """Whenever a request is refused, a copy would have been refused before it."""
    limit = Limit(BOUNDS)
    busy = [in_flight for in_flight in range(129) if limit.busy(in_flight)]

    assert not limit.admits(128)
    assert busy == list(range(65, 129))


def test_a_burst_after_an_overload_is_welcome_again() -> None:
    """A limit that was cut recovers while nothing stands, so that bursts pass as before."""
    limit = Limit(BOUNDS)
    rate = lambda now: 1000.0 if now < 10 else 40.0  # noqa: E731
    outcome = Simulation(limit, each(5e-3), rate).until(60.0)

    assert outcome.mean_limit(5, 10) < 16
    assert limit.value == 128


def test_a_burst_after_a_pause_is_no_overload() -> None:
    """Time in which nobody asked says nothing about how many can be answered."""
    limit = Limit(BOUNDS)
    for pause in (10.0, 20.0, 30.0):
        for batch in range(15):
            limit.ran(pause + 0.005 * (batch + 1), 1, 0.005, in_flight=15 - batch, replicas=1)

    assert limit.value == 128


def test_the_limit_keeps_its_bounds() -> None:
    """Never above what is configured, never below two for each replica."""
    few = Limit(Bounds(TARGET_S, 8))
    Simulation(few, whole(1e-3), steady(1e4)).until(1.0)
    assert few.value == 8

    limit = Limit(BOUNDS)
    for batch in range(400):
        limit.ran(0.1 * batch, 1, 1e-3, in_flight=10, replicas=3)
    assert limit.value == 6
