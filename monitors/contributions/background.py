"""Rows to compare a row with: the features of a card, each drawn from the reference by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.contributions.draws import Draw, draw_of
from monitors.profile.reading import watched
from monitors.profile.reference import ReferenceProfile
from registry.card import Card, Feature, Policy
from registry.signature import DTYPES, Signature

FEATURES_MAX = 1024

_DROPPED = "its policy is drop, so that the reference knows nothing of it"
_UNNAMED = "the reference has no names for most of its values, so that none can be drawn"
_BACKGROUND = 0


class Held(NamedTuple):
    """A feature that keeps the row's own value, and why; it gets no contribution."""

    feature: str
    reason: str


class Place(NamedTuple):
    """Where in one input features are: their columns, and their places among all features."""

    columns: NDArray[np.intp]
    features: NDArray[np.intp]


class Background:
    """Draws values of the `features` that can be replaced; `held` ones cannot.

    `Refused` where the profile lacks a feature, and where nothing can be replaced.
    """

    def __init__(self, card: Card, signature: Signature, profile: ReferenceProfile) -> None:
        types = {spec.name: DTYPES[spec.datatype] for spec in signature.inputs}
        held = [Held(each.name, _DROPPED) for each in card.features if each.policy is Policy.DROP]
        replaced: list[tuple[Feature, Draw]] = []
        for feature in watched(card):
            known = profile.features.get(feature.name)
            if known is None or feature.input not in types:
                message = f"the reference profile does not know feature '{feature.name}'"
                raise Refused(f"{message}: register the version again, with its reference")
            draw = draw_of(feature, known, types[feature.input])
            if draw is None:
                held.append(Held(feature.name, _UNNAMED))
            else:
                replaced.append((feature, draw))
        if not replaced:
            raise Refused("no feature of this version can be drawn from its reference")
        if len(replaced) > FEATURES_MAX:
            message = f"{len(replaced)} features are too many to be explained"
            raise Refused(f"{message}: {FEATURES_MAX} at most")
        self.features = tuple(feature for feature, _ in replaced)
        self.held = tuple(held)
        self.places = _places(self.features)
        self._draws = [draw for _, draw in replaced]
        self._types = types

    def draw(self, samples: int, seed: int) -> Mapping[str, NDArray[Any]]:
        """Values by input, shape (samples, features there).

        The first of many draws are those that fewer would have given.
        """
        chances = np.random.default_rng((seed, _BACKGROUND)).random((samples, len(self._draws), 2))
        drawn = {}
        for name, place in self.places.items():
            values = np.empty((samples, len(place.features)), dtype=self._types[name])
            for column, at in enumerate(place.features.tolist()):
                values[:, column] = self._draws[at](chances[:, at])
            drawn[name] = values
        return drawn


def _places(features: tuple[Feature, ...]) -> dict[str, Place]:
    places = {}
    for name in dict.fromkeys(each.input for each in features):
        here = [(each.column or 0, at) for at, each in enumerate(features) if each.input == name]
        columns, at = zip(*here, strict=True)
        places[name] = Place(np.array(columns, dtype=np.intp), np.array(at, dtype=np.intp))
    return places
