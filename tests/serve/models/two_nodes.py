"""A version on two Ray nodes of one machine, asked over links; its far node is killed meanwhile.

Run as a program of its own, which prints what happened as JSON: Ray is given one process to itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import uvloop
from ray import serve as ray_serve
from ray.cluster_utils import Cluster

from configs.settings import Hosts, Settings
from configs.settings import Links as LinkSettings
from registry.artifacts import Artifacts
from registry.card import Card, Task
from registry.records import Version
from serve.models import host_ray
from serve.models.addresses import addresses, announce, folder, host_and_port
from serve.models.away_ray import node
from serve.models.certificates import Certificate
from serve.models.membership import Membership
from serve.node.names import CONTROL, NAMESPACE
from tests.registry.models import regressor
from tests.serve.models.linked import Gateway
from tests.serve.versions import MODEL, REGRESSOR

_CLIENTS = 8
_SOME = 500
_REPLICAS = 4
_PATIENCE_S = 60.0


class Desk:
    """What hosts ask the control actor for, and nothing else of it."""

    def __init__(self, data: Path, run_dir: Path) -> None:
        self._data = data
        self._run_dir = run_dir
        self._membership = Membership(LinkSettings(), run_dir)

    def announced(self, model: str, version: int, host: str, port: int, baseline: bool) -> None:
        """Hear where a host listens."""
        announce(folder(self._run_dir, model, version, baseline=baseline), host, port)

    def certificate(self) -> Certificate:
        """Give what to show."""
        return self._membership.certificate()

    def artifact(self, digest: str) -> bytes:
        """Give a model's bytes."""
        return Artifacts(self._data / "artifacts").read(digest)


async def _until(true: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while not true():
        assert asyncio.get_running_loop().time() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.05)


async def _ask(run_dir: Path, kill: Callable[[], None]) -> dict[str, int]:
    gateway = Gateway(run_dir, Membership(LinkSettings(), run_dir).client_context)
    versions = folder(run_dir, MODEL, 1)
    found = [host_and_port(address) for address in addresses(versions)]
    await _until(lambda: gateway.batcher.carriers == _REPLICAS, "a link to every replica")
    right = failed = 0

    done = asyncio.Event()

    async def client(number: int) -> None:
        nonlocal right, failed
        while not done.is_set():
            try:
                asked = right % 1000
                got = await gateway.sum_of([number, asked, 1])
                right += got == number + asked + 2
            except Exception as error:  # noqa: BLE001 - all are failures here, and told
                print(repr(error), file=sys.stderr)
                failed += 1

    def far_links() -> list[str]:
        links = gateway.links._replicas.values()
        return [known.address for known in links if known.link and host_and_port(known.address)]

    clients = [asyncio.create_task(client(number)) for number in range(_CLIENTS)]
    await _until(lambda: right > _SOME, "answers of both nodes")
    before = right
    await asyncio.to_thread(kill)
    await _until(lambda: not far_links(), "the far links are noticed to be gone")
    after = right
    await _until(lambda: right > after + _SOME, "answers of the node that is left")
    done.set()
    await asyncio.gather(*clients)
    await gateway.links.close()
    return {
        "near": found.count(None),
        "far": len(found) - found.count(None),
        "before": before,
        "right": right,
        "failed": failed,
        "retries": gateway.retries,
    }


def main(home: Path) -> None:
    """Start two nodes, a host on each, ask, kill the far node, ask on."""
    data, run_dir = home / "data", home / "run"
    run_dir.mkdir()
    settings = Settings(data=data, hosts=Hosts(replicas=_REPLICAS))
    digest = Artifacts(data / "artifacts").put(regressor().SerializeToString())
    version = Version(
        MODEL, 1, digest, REGRESSOR, Card(task=Task.REGRESSION), None, 0, "ada", "now"
    )
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        ray.init(address=cluster.address, namespace=NAMESPACE, log_to_driver=False)
        desk: Any = ray.remote(Desk).options(name=CONTROL, num_cpus=0, lifetime="detached")
        desk.remote(data, run_dir)
        far = cluster.add_node(num_cpus=2)
        ray_serve.start(proxy_location="Disabled")
        ray_serve.run(
            host_ray.application(settings, run_dir, version, node()), name="v", route_prefix=None
        )
        told = uvloop.run(_ask(run_dir, lambda: cluster.remove_node(far, allow_graceful=False)))
        print(json.dumps(told))
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
