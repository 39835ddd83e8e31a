"""How long and how often to simulate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """So many rollouts, each for `horizon_s` at most, in ticks of `tick_s`, from one seed.

    Each is paused `pauses` times an hour on the average, for `pause_s`.
    """

    rollouts: int = 1000
    horizon_s: float = 6 * 3600.0
    tick_s: float = 10.0
    seed: int = 1
    pauses: float = 0.0
    pause_s: float = 600.0
    same_behaviour: bool = True
