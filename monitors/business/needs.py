"""What an expression needs of a version, and which rows have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from configs.expression import GROUPS, VALUES
from monitors.blocks import SampleBlock
from monitors.business.evaluation import Columns
from monitors.labels.judged import Floats, JudgedBlock
from monitors.profile.categories import texts
from monitors.profile.reading import decisions, group_values, score_columns, scores
from registry.card import Card


def lacking(card: Card, names: Collection[str]) -> str:
    """Why no row of a version can have what an expression reads; empty if some may."""
    if "score" in names and card.score is None:
        return "the card names no score: declare score in it"
    if "decision" in names and card.decision is None:
        return "the card declares no decision: declare decision in it"
    if card.label is None and any(map(_of_truth, names)):
        return "the card awaits no labels: declare label in it"
    known = {group.name for group in card.groups}
    strange = sorted(name for name in _attributes(names) if name not in known)
    if strange:
        return f"the card has no group attribute {strange[0]!r}: declare it under groups"
    return ""


def needs_truth(card: Card, names: Collection[str]) -> bool:
    """Whether an expression can only be told once the truth of a row has come."""
    late = {group.name for group in card.groups if group.source in ("label", "audit")}
    return any(map(_of_truth, names)) or not late.isdisjoint(_attributes(names))


def of_sample(card: Card, block: SampleBlock, names: Collection[str]) -> Columns:
    """What expressions that read these names need, of rows whose truth may never come."""
    numbers: dict[str, Floats] = {}
    # Of a score of several columns, of which the card names none, no row has the score.
    if "score" in names and score_columns(card, block.outputs) is None:
        _put(numbers, "score", scores(card, block.outputs))
    if "decision" in names:
        _put(numbers, "decision", decisions(card, block.outputs))
    wanted = _attributes(names)
    found = group_values(card, block.inputs, block.groups, block.rows) if wanted else {}
    return Columns(block.rows, numbers, _as_texts(found, wanted))


def of_judged(block: JudgedBlock, names: Collection[str]) -> Columns:
    """The same of rows whose truth has come."""
    numbers = {"score": block.scores, "decision": block.decisions, "label": block.labels}
    numbers |= {f"{VALUES}.{name}": values for name, values in block.values.items()}
    return Columns(block.rows, numbers, _as_texts(block.groups, _attributes(names)))


def _of_truth(name: str) -> bool:
    return name == "label" or name.startswith(f"{VALUES}.")


def _attributes(names: Collection[str]) -> set[str]:
    prefix = f"{GROUPS}."
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def _put(numbers: dict[str, Floats], name: str, values: Floats | None) -> None:
    if values is not None:
        numbers[name] = values


def _as_texts(
    groups: Mapping[str, NDArray[np.object_]], wanted: set[str]
) -> dict[str, NDArray[np.object_]]:
    """The attributes that are wanted, as texts: numbers and bytes compare as people write them."""
    return {
        name: np.array(texts(values), dtype=np.object_)
        for name, values in groups.items()
        if name in wanted
    }
