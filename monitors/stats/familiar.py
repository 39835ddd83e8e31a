"""The familiar distances by name, and what is told of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Familiar(StrEnum):
    """The distances by name, in the order in which they are told."""

    PSI = "psi"
    JENSEN_SHANNON = "jensen_shannon"
    TOTAL_VARIATION = "total_variation"
    HELLINGER = "hellinger"
    CHI_SQUARE = "chi_square"
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    WASSERSTEIN = "wasserstein"


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance of live rows from the reference, and a 95 % interval of what is behind it.

    `value` is what the textbook formula gives. `lower` and `upper` enclose what it would give
    without noise, so that the value of few rows may lie above them. `p_value` is that of one look
    at a number of rows that was fixed beforehand; only chi-square and Kolmogorov-Smirnov have one.
    """

    name: str
    value: float
    lower: float
    upper: float
    p_value: float | None = None
