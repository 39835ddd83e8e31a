"""How somebody wants a row explained."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLES = 64
SAMPLES_MIN = 2
"""Of a single one nobody can say how far it is off."""
SAMPLES_MAX = 1024
SEED_MAX = 2**53 - 1
"""JSON has no larger whole numbers that every program reads alike."""
BUDGET_S = 0.03
BUDGET_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class Wish:
    """So many `samples` for each row, unless it takes longer than `budget_s` seconds a row.

    The same `seed` draws the same. `column` is that of the score, where the card names none.
    """

    samples: int = SAMPLES
    seed: int = 0
    column: int | None = None
    budget_s: float = BUDGET_S
