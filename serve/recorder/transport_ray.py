"""Ray shell: blocks and counts go to the actors that watch, and nobody waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from monitors.blocks import Folded, SampleBlock, Snapshot
from registry.records import Role
from serve.node.names import EXPORTER, NAMESPACE, OBSERVER
from serve.recorder.dial import Capacity, FoldCost
from serve.recorder.held import Held


class RayTransport:
    """Sends to the observer and the exporter; keeps count of what they have not acknowledged.

    `share` is the part of a core that the folds of what this process sends may take.
    """

    def __init__(self, blocks_in_flight: int, share: float) -> None:
        self._in_flight_max = blocks_in_flight
        self._share = share
        self._cost = FoldCost()
        self._held = Held()
        self._shipments: dict[ray.ObjectRef[Any], int] = {}
        self._snapshot: ray.ObjectRef[Any] | None = None
        self._lost_rows = 0

    def send_blocks(self, blocks: Sequence[SampleBlock]) -> bool:
        """Send rows, unless too many shipments are unacknowledged or nobody is there."""
        self._settle()
        if len(self._shipments) >= self._in_flight_max:
            return False
        sent = _send(OBSERVER, tuple(blocks))
        if sent is not None:
            # Rows of pinned requests are not judged, and so not held.
            self._shipments[sent] = sum(b.rows for b in blocks if b.role != Role.PINNED)
        return sent is not None

    def capacity(self) -> Capacity:
        """Give what the monitors can take, as far as their answers tell.

        They are behind when half of the shipments that may be on their way are: there is still
        room then, and time to send less before any is lost.
        """
        self._settle()
        behind = len(self._shipments) >= max(1, self._in_flight_max // 2)
        return Capacity(self._cost.rows_per_s(self._share), behind=behind)

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
        """Look which shipments were taken in, and which were lost with the actor or by a fault."""
        done = set(_done(list(self._shipments)))
        for sent in [sent for sent in self._shipments if sent in done]:
            rows = self._shipments.pop(sent)
            try:
                folded: Folded = ray.get(sent)
            except RayError:
                self._lost_rows += rows
            else:
                self._cost.learn(folded)
                self._lost_rows += self._held.forgotten(rows, folded.taken)


def _send(actor: str, what: object) -> ray.ObjectRef[Any] | None:
    try:
        handle: Any = ray.get_actor(actor, namespace=NAMESPACE)
        sent: ray.ObjectRef[Any] = handle.fold.remote(what)
    except (RayError, ValueError):  # ValueError: no actor of that name lives.
        return None
    return sent


def _done(sent: list[ray.ObjectRef[Any]]) -> list[ray.ObjectRef[Any]]:
    if not sent:
        return []
    done, _ = ray.wait(sent, num_returns=len(sent), timeout=0, fetch_local=False)
    return list(done)
