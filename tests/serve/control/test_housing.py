"""Versions move between shared hosts and their own: into the new place first, then out."""

from __future__ import annotations

import pytest

from configs.errors import PreconditionFailed
from registry.records import FULL
from serve.control.placement import Place
from tests.serve.control.planes import Plane
from tests.serve.versions import MODEL


async def test_the_first_version_shares(plane: Plane) -> None:
    """A small version that answers everybody needs no process of its own."""
    await plane.set(v1=100)

    assert plane.fleet.shared == {(MODEL, 1)}
    assert plane.fleet.own == set()


async def test_a_split_gives_both_sides_a_host(plane: Plane) -> None:
    """Stable has its own host before the candidate gets traffic, and leaves the shared one last."""
    await plane.set(v1=100)
    plane.fleet.log.clear()

    await plane.set(v1=90, v2=10)

    assert plane.fleet.own == {(MODEL, 1), (MODEL, 2)}
    assert plane.fleet.shared == set()
    assert sorted(plane.fleet.log[:2]) == ["start 1", "start 2"]
    assert plane.fleet.log[2:] == ["stop 1"]


async def test_what_is_promoted_shares_from_then_on(plane: Plane) -> None:
    """The new stable version and the one before share; the processes of the split end."""
    await plane.set(v1=100)
    await plane.set(v1=90, v2=10)

    await plane.control.promote(MODEL, 2, "ada", "better")

    assert plane.fleet.own == set()
    assert plane.fleet.shared == {(MODEL, 1), (MODEL, 2)}


async def test_versions_that_are_proven_share_while_they_are_split(plane: Plane) -> None:
    """A split of versions that have both answered everybody moves nobody, not even for a moment."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    plane.fleet.log.clear()

    await plane.set(v2=90, v1=10)

    assert plane.fleet.shared == {(MODEL, 1), (MODEL, 2)}
    assert plane.fleet.own == set()
    assert sorted(plane.fleet.log) == ["start 1", "start 2"]


async def test_a_candidate_takes_the_proven_out_with_it(plane: Plane) -> None:
    """All that are compared with a version that is not proven have hosts of their own."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.set(v2=90, v1=10)

    await plane.set(v2=80, v1=10, v3=10)

    assert plane.fleet.own == {(MODEL, 1), (MODEL, 2), (MODEL, 3)}
    assert plane.fleet.shared == set()


async def test_after_a_rollback_a_version_has_its_own_host_again(plane: Plane) -> None:
    """Whom a rollback has left is a candidate like any other, until it is promoted again."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.control.rollback(MODEL, "ada", "it was not")

    await plane.set(v1=90, v2=10)

    assert plane.fleet.own == {(MODEL, 1), (MODEL, 2)}
    await plane.control.promote(MODEL, 2, "ada", "it is after all")
    await plane.set(v2=90, v1=10)
    assert plane.fleet.shared == {(MODEL, 1), (MODEL, 2)}
    assert plane.fleet.own == set()


async def test_a_split_that_is_loaded_again_is_where_it_was(plane: Plane) -> None:
    """Who is proven is known also of a model that is not served."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.set(v2=90, v1=10)
    await plane.control.unload(MODEL, "ada", "not needed")
    plane.fleet.log.clear()

    await plane.control.load(MODEL, "ada", "needed")

    assert plane.fleet.shared == {(MODEL, 1), (MODEL, 2)}
    assert sorted(plane.fleet.log) == ["start 1", "start 2"]


async def test_a_start_has_a_split_of_the_proven_in_shared_hosts(plane: Plane) -> None:
    """A control plane that begins anew reads who is proven from the history of the route."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.set(v2=90, v1=10)
    again = Plane(plane.registry)

    await again.control.open()

    assert again.fleet.shared == {(MODEL, 1), (MODEL, 2)}
    assert again.fleet.own == set()


async def test_a_shadow_never_shares(plane: Plane) -> None:
    """A version that only listens has a host of its own; the stable one stays where it is."""
    await plane.set(v1=100)

    await plane.control.set_route(MODEL, {1: 100}, (2, 50), "ada", "look at 2")

    assert plane.fleet.own == {(MODEL, 2)}
    assert plane.fleet.shared == {(MODEL, 1)}


async def test_a_change_that_is_refused_moves_nobody(plane: Plane) -> None:
    """Whoever was given a host for a split that was not made is where it was before."""
    await plane.set(v1=100)

    with pytest.raises(PreconditionFailed):
        await plane.control.set_route(MODEL, {1: 50, 2: 50}, None, "ada", "x", if_generation=9)

    assert plane.fleet.shared == {(MODEL, 1)}
    assert plane.fleet.own == set()


async def test_what_cannot_share_has_its_own_host(plane: Plane) -> None:
    """A shared host that does not take a version in keeps it from nothing."""
    plane.fleet.refuses_to_share.add(1)

    await plane.set(v1=100)

    assert plane.weights() == {1: FULL}
    assert plane.fleet.own == {(MODEL, 1)}
    await plane.control.set_route(MODEL, {1: 100}, None, "ada", "again")
    assert plane.fleet.own == {(MODEL, 1)}, "it must not leave the only host it has"


async def test_an_unloaded_model_leaves_the_shared_host(plane: Plane) -> None:
    """What no route serves is in no memory."""
    await plane.set(v1=100)

    await plane.control.unload(MODEL, "ada", "not needed")

    assert plane.fleet.hosted == set()


async def test_a_start_brings_all_that_share_at_once(plane: Plane) -> None:
    """The proven are handed to the shared hosts together, and only the others start one by one."""
    await plane.set(v1=60, v2=40)
    await plane.control.promote(MODEL, 2, "ada", "better")
    await plane.control.set_route(MODEL, {2: 100}, (3, 10), "ada", "listen")
    again = Plane(plane.registry)

    await again.control.open()

    places = await again.fleet.places()
    assert {key[1]: place for key, (place,) in places.items()} == {
        1: Place.SHARED,
        2: Place.SHARED,
        3: Place.OWN,
    }
    assert "share 2" in again.fleet.log


async def test_what_crashes_its_shared_host_gets_its_own(plane: Plane) -> None:
    """It is in its own host before it leaves the shared one, and nobody else moves."""
    await plane.set(v1=100)
    await plane.control.promote(MODEL, 2, "ada", "better")
    plane.fleet.crashing.add((MODEL, 2))
    plane.fleet.log.clear()

    await plane.control.rehouse()

    assert plane.fleet.log == ["start 2", "stop 2"]
    assert (plane.fleet.own, plane.fleet.shared) == ({(MODEL, 2)}, {(MODEL, 1)})
    await plane.control.rehouse()
    assert plane.fleet.log == ["start 2", "stop 2"]
