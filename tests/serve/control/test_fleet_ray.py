"""A shared host that cannot be started anew takes nothing with it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from configs.errors import Refused
from configs.settings import Hosts, Settings
from serve.control.placement import Place
from serve.control.service import Process, VersionStatus
from serve.models.addresses import folder
from serve.models.shelf_files import Report, shelf_folder, write_report
from serve.node.names import baseline_app, gateway_app, shelf_app, version_app
from tests.serve.versions import MODEL, version

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # What Ray Serve does by itself.
    from ray.serve.schema import ApplicationStatus

    from serve.control import fleet_ray as module
    from serve.control.fleet_ray import RayFleet

KEY = MODEL, 1
SHELF = shelf_app(0)
RUNNING, FAILED = ApplicationStatus.RUNNING, ApplicationStatus.DEPLOY_FAILED


class Serve:
    """Ray Serve in memory: it runs what it is given, unless a test has it fail."""

    def __init__(self) -> None:
        self.states: dict[str, ApplicationStatus] = {}
        self.deleted: list[str] = []
        self.broken = False
        self.runs = 0

    def run(self, _application: object, *, name: str, route_prefix: None) -> None:
        """Put an application in the place of what runs under its name."""
        del route_prefix
        self.runs += 1
        self.states[name] = FAILED if self.broken else RUNNING
        if self.broken:
            message = "Deploying failed.\nno memory for the shared host"
            raise RuntimeError(message)

    def status(self) -> SimpleNamespace:
        """Give how all applications are."""
        found = {name: SimpleNamespace(status=state) for name, state in self.states.items()}
        return SimpleNamespace(applications=found)

    def delete(self, name: str, *, _blocking: bool) -> None:
        """End an application."""
        del self.states[name]
        self.deleted.append(name)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """What the fleet takes for Ray Serve."""
    made = Serve()
    monkeypatch.setattr(module, "ray_serve", made)
    return made


@pytest.fixture
def fleet(tmp_path: Path, serve: Serve) -> RayFleet:
    """A fleet with one shared host that does not run yet, and says that it holds version 1."""
    del serve
    write_report(shelf_folder(tmp_path, 0), os.getpid(), Report(held=(KEY,)))
    return RayFleet(Settings(data=tmp_path, hosts=Hosts(shared=1)), tmp_path)


@pytest.fixture
def inside(fleet: RayFleet, tmp_path: Path) -> RayFleet:
    """One whose shared versions are in the gateway: this process is a replica that holds one."""
    del fleet
    return RayFleet(Settings(data=tmp_path, hosts=Hosts(shared_in="gateway")), tmp_path)


async def test_a_redeploy_of_a_shared_host_that_fails_moves_no_model(
    fleet: RayFleet, serve: Serve
) -> None:
    """What runs is not ended, its models are there still, and the next start of one tries again."""
    await fleet.start(version(1), Place.SHARED)
    serve.broken = True

    with pytest.raises(Refused, match="did not start: no memory for the shared host"):
        await fleet.replace_version(version(1))

    assert serve.deleted == []
    assert await fleet.places() == {KEY: {Place.SHARED}}
    assert (await fleet.status())[KEY].state == "ready"
    serve.broken = False
    await fleet.start(version(1), Place.SHARED)
    assert (serve.states, serve.runs) == ({SHELF: RUNNING}, 3)


async def test_a_baseline_is_an_application_of_its_own(
    fleet: RayFleet, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started and ended beside the version's own host, and told apart from it."""
    monkeypatch.setattr(module, "node", lambda: "here")
    await fleet.start(version(1), Place.OWN)
    await fleet.start(version(1), Place.BASELINE)
    await fleet.start(version(1), Place.BASELINE)

    assert serve.states == {version_app(*KEY): RUNNING, baseline_app(*KEY): RUNNING}
    assert serve.runs == 2
    assert await fleet.places() == {KEY: {Place.OWN, Place.BASELINE}}
    await fleet.replace_version(version(1))
    assert serve.runs == 4
    await fleet.stop(KEY, Place.BASELINE)
    assert serve.deleted == [baseline_app(*KEY)]
    assert await fleet.places() == {KEY: {Place.OWN}}


async def test_processes_of_a_baseline_say_that_they_are(
    fleet: RayFleet, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its status is not the version's, which may be hosted nowhere else."""

    def nobody(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(module, "ray", SimpleNamespace(get_actor=nobody))
    monkeypatch.setattr(module, "node", lambda: "here")
    await fleet.start(version(1), Place.BASELINE)
    socket = folder(tmp_path, *KEY, baseline=True) / "77.sock"
    socket.parent.mkdir(parents=True)
    socket.touch()

    assert serve.states == {baseline_app(*KEY): RUNNING}
    assert await fleet.status() == {}
    told = [each for each in await fleet.processes() if each.role != "control"]
    assert Process("baseline", 77, *KEY) in told
    assert Process("version", 77, *KEY) not in told


async def test_inside_the_gateway_no_process_is_started_to_share(
    inside: RayFleet, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its replicas hold what is wanted; where a version is and in which process, is told."""

    def nobody(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(module, "ray", SimpleNamespace(get_actor=nobody))
    await inside.start(version(1), Place.SHARED)
    await inside.share([version(1)])

    assert (serve.states, serve.runs) == ({}, 0)
    assert (await inside.status())[KEY] == VersionStatus(1, "ready", "in the gateway")
    found = [each for each in await inside.processes() if each.role == "version"]
    assert found == [Process("version", os.getpid(), *KEY)]


async def test_inside_the_gateway_a_version_is_replaced_with_it(
    inside: RayFleet, serve: Serve
) -> None:
    """New gateway replicas load it anew; the old ones leave when those listen."""
    await inside.start_gateway()
    await inside.start(version(1), Place.SHARED)

    await inside.replace_version(version(1))

    assert serve.states == {gateway_app(2): RUNNING}
    assert serve.deleted == [gateway_app(1)]


async def test_a_shared_host_that_did_not_start_is_started_for_the_next_version(
    fleet: RayFleet, serve: Serve
) -> None:
    """Nothing is left of a first start that failed, and nothing is wanted of it."""
    serve.broken = True
    with pytest.raises(Refused):
        await fleet.start(version(1), Place.SHARED)

    assert serve.deleted == [SHELF]
    assert await fleet.places() == {}
    serve.broken = False
    await fleet.start(version(1), Place.SHARED)
    assert await fleet.places() == {KEY: {Place.SHARED}}
