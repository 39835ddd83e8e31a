"""What rows are grouped by: each attribute, and several at once, with the names that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.fairness.cells import UNKNOWN
from monitors.fairness.measures import Measure
from monitors.privacy import ROWS_TOLD_MIN
from monitors.profile.categories import texts
from monitors.profile.reference import TOP_GROUPS, GroupShare, ReferenceProfile
from monitors.stats.anytime_gaps import Allowed
from registry.card import Card, Group

AND = " & "


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute, or several at once: where their values come from and what is allowed.

    `late` says that some of them come with the truth or after it, so that only rows whose truth has
    come can be grouped. `shares` are those of the reference's groups.
    """

    groups: tuple[Group, ...]
    allowed: Allowed
    shares: tuple[GroupShare, ...]

    @property
    def name(self) -> str:
        """The attributes' names."""
        return AND.join(group.name for group in self.groups)

    @property
    def late(self) -> bool:
        """Whether a request alone does not say the group."""
        return any(group.source in ("label", "audit") for group in self.groups)

    def values(self, columns: Mapping[str, NDArray[Any]], rows: int) -> list[str | None]:
        """The group of each row, None where one of the attributes is not known."""
        unknown = np.full(rows, None, dtype=np.object_)
        each = [texts(columns.get(group.name, unknown)) for group in self.groups]
        if len(each) == 1:
            return each[0]
        return [_together(parts) for parts in zip(*each, strict=True)]


def _together(parts: Sequence[str | None]) -> str | None:
    known = [part for part in parts if part is not None]
    return AND.join(known) if len(known) == len(parts) else None


def attributes(
    card: Card, measure: Measure, profile: ReferenceProfile | None
) -> tuple[Attribute, ...]:
    """What a measure compares by, in the order of the card; nothing if the card asks for nothing.

    Attributes of which only a proxy is known are left out: see `monitors.fairness.proxies`.
    """
    fairness = card.fairness
    wanted = fairness.attributes if fairness else ()
    groups = [g for g in card.groups if not g.proxy and (not wanted or g.name in wanted)]
    depth = fairness.depth if fairness else 1
    known = profile.groups if profile else {}
    return tuple(
        Attribute(chosen, allowed, _named([known.get(group.name, ()) for group in chosen]))
        for size in range(1, depth + 1)
        for chosen in combinations(groups, size)
        if (allowed := _allowed(card, measure, chosen)) is not None
    )


def _allowed(card: Card, measure: Measure, groups: Sequence[Group]) -> Allowed | None:
    """The band of a measure; without one of its own, that of selection rates is `max_gap`."""
    band = getattr(card.fairness, measure.name) if card.fairness else None
    if band is not None:
        return Allowed(band.max_gap or 1.0, getattr(band, "min_ratio", None) or 0.0)
    if measure.needs_labels:
        return None
    return Allowed(min(group.max_gap for group in groups))


def _named(each: Sequence[tuple[GroupShare, ...]]) -> tuple[GroupShare, ...]:
    """The groups of ten rows and more in the reference; of several attributes, all there can be.

    Nothing where there can be more than have a cell each.
    """
    told = [
        [share for share in shares if share.rows >= ROWS_TOLD_MIN and share.name != UNKNOWN]
        for shares in each
    ]
    if len(told) == 1:
        return tuple(told[0])
    if prod(map(len, told)) > TOP_GROUPS:
        return ()
    # How many rows have all of it is not known, so these have names alone.
    names = (AND.join(share.name for share in shares) for shares in product(*told))
    return tuple(GroupShare(name=name, rows=0, decided=0, selected=0) for name in names)
