"""Ray shell: blocks and counts go to the actors that watch, and nobody waits for them."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayError

from monitors.blocks import SampleBlock, Snapshot
from serve.node.names import EXPORTER, NAMESPACE, OBSERVER


class RayTransport:
    """Sends to the observer and the exporter; keeps count of what they have not acknowledged."""

    def __init__(self, blocks_in_flight: int) -> None:
        self._blocks_in_flight = blocks_in_flight
        self._blocks: dict[ray.ObjectRef[None], int] = {}
        self._snapshot: ray.ObjectRef[None] | None = None
        self._lost_rows = 0

    def send_block(self, block: SampleBlock) -> bool:
        """Send rows, unless too many blocks are unacknowledged or nobody is there."""
        self._settle()
        if len(self._blocks) >= self._blocks_in_flight:
            return False
        sent = _send(OBSERVER, block)
        if sent is not None:
            self._blocks[sent] = block.rows
        return sent is not None

    def send_snapshot(self, snapshot: Snapshot) -> bool:
        """Send counts, unless the last ones are unacknowledged still or nobody is there."""
        if self._snapshot is not None and not _done([self._snapshot]):
            return False
        self._snapshot = _send(EXPORTER, snapshot)
        return self._snapshot is not None

    def lost_rows(self) -> int:
        """Give how many rows were sent and not taken in, since this was asked last."""
        self._settle()
        lost, self._lost_rows = self._lost_rows, 0
        return lost

    def _settle(self) -> None:
        """Look which blocks were taken in, and which were lost with the actor or by its fault."""
        for sent in _done(list(self._blocks)):
            rows = self._blocks.pop(sent)
            try:
                ray.get(sent)
            except RayError:
                self._lost_rows += rows


def _send(actor: str, what: object) -> ray.ObjectRef[None] | None:
    try:
        handle: Any = ray.get_actor(actor, namespace=NAMESPACE)
        sent: ray.ObjectRef[None] = handle.fold.remote(what)
    except (RayError, ValueError):  # ValueError: no actor of that name lives.
        return None
    return sent


def _done(sent: list[ray.ObjectRef[None]]) -> list[ray.ObjectRef[None]]:
    if not sent:
        return []
    done, _ = ray.wait(sent, num_returns=len(sent), timeout=0, fetch_local=False)
    return list(done)
