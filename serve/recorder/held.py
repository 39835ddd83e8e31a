"""How many of the rows that were acknowledged the monitors still hold."""

from __future__ import annotations


class Held:
    """Compares what was acknowledged with what the monitors say they hold of it.

    Monitors that were killed begin again from what they kept last: what they took in since then is
    gone, though it was acknowledged.
    """

    def __init__(self) -> None:
        self._rows = 0

    def forgotten(self, rows: int, held: int) -> int:
        """How many rows are gone, told by the answer to a shipment of `rows`.

        `held` is what the monitors hold of this process's rows, those of the shipment included.
        """
        gone = max(0, self._rows + rows - held)
        self._rows = held
        return gone
