"""A version has a fair share of the processors that the gateway was given."""

from __future__ import annotations

import os

import pytest

from serve.models.threads import cores_given, cores_of, threads_for, worth_more_than_one


@pytest.mark.parametrize(
    ("cores", "gateways", "replicas", "threads"),
    [
        pytest.param(1, 1, 1, 1, id="one-core"),
        pytest.param(2, 1, 1, 1, id="two-cores"),
        pytest.param(8, 1, 1, 3, id="eight-cores"),
        pytest.param(16, 2, 1, 7, id="two-gateways"),
        pytest.param(16, 2, 2, 3, id="two-replicas"),
        pytest.param(4, 8, 1, 1, id="more-gateways-than-cores"),
    ],
)
def test_two_versions_share_what_gateways_leave(
    cores: int, gateways: int, replicas: int, threads: int
) -> None:
    """Each gateway replica keeps a core; all replicas of two versions have the rest."""
    assert threads_for(None, cores, gateways, replicas) == threads


def test_a_number_that_was_asked_for_is_taken() -> None:
    """Whoever sets the threads gets them."""
    assert threads_for(6, cores=2, gateways=1, replicas=1) == 6


@pytest.mark.parametrize(
    ("affinity", "quotas", "cores"),
    [
        pytest.param(8, [], 8, id="no-groups"),
        pytest.param(8, ["max 100000\n"], 8, id="no-quota"),
        pytest.param(8, ["350000 100000\n"], 3, id="a-quota"),
        pytest.param(2, ["350000 100000\n"], 2, id="affinity-is-less"),
        pytest.param(8, ["max 100000", "200000 100000"], 2, id="the-group-around"),
        pytest.param(8, ["50000 100000"], 1, id="half-a-core"),
        pytest.param(8, ["", "what", "1 0"], 8, id="unreadable"),
    ],
)
def test_affinity_and_quotas_limit_the_cores(affinity: int, quotas: list[str], cores: int) -> None:
    """The least of them counts, and one core there always is."""
    assert cores_of(affinity, quotas) == cores


def test_this_process_has_no_more_cores_than_its_affinity() -> None:
    """What the machine says can be read."""
    assert 1 <= cores_given() <= len(os.sched_getaffinity(0))


def test_brief_models_keep_to_one_thread() -> None:
    """A model of some µs gains nothing from threads, one of 20 ms does."""
    assert not worth_more_than_one(0.000_006)
    assert worth_more_than_one(0.02)
