"""The budget of false alarms: how much evidence each subject needs before anyone is paged.

`martingale`: at most `alarm_budget` chance of any false alarm, ever, while nothing changes. A
subject that holds the part w of the budget needs an e-value of 1 / (w budget); after a first alarm
the others need less, by e-BH.

`detector`: at least `false_alarm_days` between false alarms, on average, for as long as it runs.
Let R be the Shiryaev-Roberts statistic of a subject, in which one bet begins a minute, and T
twice the days in minutes: a subject alarms when w R reaches T. The chance that R ever exceeds c in
t minutes is at most t / c (R less the minutes is a martingale, and R a submartingale: Doob), so
the chance of any alarm in t minutes is at most t / T under any dependence between subjects, and
the mean time to it at least T / 2. (Shin, Ramdas, Rinaldo, E-detectors, 2023.) e-BH is not valid
on these statistics, as their means grow with time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode, Monitors
from monitors.stats.ebh import first_then_e_bh

Floats = NDArray[np.float64]

_FIRST_ARMING = 0.8
_MINUTES_A_DAY = 24 * 60


def arming_share(arming: int) -> float:
    """The part of a subject's budget that its k-th arming may spend, k from 1; they sum to one.

    The first has most, as nearly all subjects never alarm; the others share what is left in
    proportion to 1 / (k - 1)^2.
    """
    if arming == 1:
        return _FIRST_ARMING
    return (1 - _FIRST_ARMING) * 6 / (pi * (arming - 1)) ** 2


@dataclass(frozen=True, slots=True)
class Budget:
    """What the settings allow, as a threshold for the logarithm of evidence.

    `log_alone` is what a subject would need that had the whole budget.
    """

    mode: AlarmMode
    log_alone: float

    @classmethod
    def of(cls, settings: Monitors) -> Budget:
        """The budget that the settings name."""
        if settings.alarm_mode is AlarmMode.DETECTOR:
            log_alone = log(2 * settings.false_alarm_days * _MINUTES_A_DAY)
        else:
            log_alone = -log(settings.alarm_budget)
        return cls(settings.alarm_mode, log_alone)

    def passed(self, log_e: Floats, parts: Floats) -> NDArray[np.bool_]:
        """Which subjects have enough evidence, given its natural logarithms; shapes (subjects,).

        `parts` of the budget sum to at most one; a subject without a part never passes.
        """
        if not len(log_e):
            return np.zeros(0, dtype=np.bool_)
        with np.errstate(divide="ignore"):
            weighed = log_e + np.log(parts)
        if self.mode is AlarmMode.DETECTOR:
            return np.asarray(weighed >= self.log_alone, dtype=np.bool_)
        subjects = len(log_e)
        return first_then_e_bh(weighed + log(subjects), np.exp(-self.log_alone), subjects)
