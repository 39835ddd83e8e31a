"""What is kept of predictions until their truth comes, and what is made of it then."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.labels.addresses import Name, names_of_bytes
from monitors.labels.assigned import Assigned
from monitors.labels.codes import Value, codes, decision_codes
from monitors.labels.judged import JudgedBlock
from monitors.profile.categories import texts
from monitors.profile.reading import group_values, interval_ends, score_columns, scores
from monitors.stats.uniforms import row_keys
from registry.card import Card, Label

COLUMNS_MAX = 64
"""A score of more columns is not kept."""

VALUE_NAMES_MAX = 64
"""So many names of values one block of judged rows may have."""

_SINGLE, _DOUBLE = b"f", b"d"

Names = Mapping[str, NDArray[np.object_]]


@dataclass(frozen=True, slots=True)
class AwaitingRows:
    """Rows of one version in one role whose truth is awaited, column by column.

    `ids` has two whole numbers a row, `requests` the callers' own names of their requests. `at` is
    when they were predicted, in seconds since 1970. `columns` are those of a score of several, or
    the ends of an interval. `groups` are those that came with the request. `assigned` says of rows
    that stand for a unit of a rollout which arm it met.
    """

    ids: Sequence[Name]
    row_numbers: Sequence[int]
    requests: Sequence[str | None]
    at: float
    scores: Sequence[float | None]
    decisions: Sequence[float | None]
    columns: Sequence[bytes | None]
    groups: Mapping[str, Sequence[str | None]]
    assigned: Sequence[Assigned | None]


def awaiting(block: SampleBlock, card: Card) -> AwaitingRows:
    """What is kept of the rows of a block; `Refused` where they do not fit the card."""
    rows = block.rows
    whole = score_columns(card, block.outputs)
    single = scores(card, block.outputs) if whole is None else None
    # A regression with an interval has no use for the columns of a score of several.
    columns = whole if card.interval is None else interval_ends(card, block.outputs)
    decided = decision_codes(card, block.outputs)
    groups = group_values(card, block.inputs, block.groups, rows)
    nobody = [None] * rows
    return AwaitingRows(
        ids=names_of_bytes(_bytes_of(block.prediction_ids)),
        row_numbers=block.row_numbers.tolist(),
        requests=nobody if block.request_ids is None else block.request_ids.tolist(),
        at=block.made_at,
        scores=[None] * rows if single is None else single.tolist(),
        decisions=[None] * rows if decided is None else decided.tolist(),
        columns=_packed(columns) if columns is not None else [None] * rows,
        groups={name: texts(values) for name, values in groups.items()},
        assigned=nobody if block.assigned is None else block.assigned.tolist(),
    )


def request_groups(card: Card) -> tuple[str, ...]:
    """The group attributes that come with the request, in the order in which they are kept."""
    return tuple(group.name for group in card.groups if group.source not in ("label", "audit"))


def facts(groups: Mapping[str, str], values: Mapping[str, float]) -> str | None:
    """What came with a label, as a text that is the same for the same facts; None for nothing."""
    if not groups and not values:
        return None
    return json.dumps([dict(groups), dict(values)], sort_keys=True, separators=(",", ":"))


class JudgedRows(NamedTuple):
    """Judged rows as they are kept, column by column."""

    id_high: Sequence[int]
    id_low: Sequence[int]
    row_number: Sequence[int]
    at: Sequence[float]
    score: Sequence[float | None]
    decision: Sequence[float | None]
    score_columns: Sequence[bytes | None]
    group_codes: Sequence[bytes | None]
    labelled_at: Sequence[float]
    label: Sequence[Value]
    facts: Sequence[str | None]
    audit: Sequence[str | None]
    sign: Sequence[int]
    corrected: Sequence[int]


def judged_block(
    place: tuple[str, int, str], card: Card, kept: JudgedRows, groups: Names
) -> JudgedBlock:
    """Rows as the monitors take them in; `groups` are those that came with the requests.

    A row whose label the card does not know, since another version's card let it in, is left out.
    """
    labels = codes(kept.label, card.label or Label())
    known = ~np.isnan(labels)
    if not known.all():
        chosen = known.tolist()
        left: list[Any] = [tuple(compress(column, chosen)) for column in kept]
        groups = {name: held[known] for name, held in groups.items()}
        return judged_block(place, card, JudgedRows(*left), groups)
    later, values = _facts(card, kept.facts, kept.audit)
    halves = np.array([kept.id_high, kept.id_low], dtype=">i8").T
    ids = np.frombuffer(halves.tobytes().hex().encode(), dtype="S32")
    columns = _unpacked(kept.score_columns)
    return JudgedBlock(
        *place,
        keys=row_keys(ids, np.array(kept.row_number, dtype=np.int64)),
        scores=_floats(kept.score),
        decisions=_floats(kept.decision),
        labels=labels,
        predicted_at=_floats(kept.at),
        labelled_at=_floats(kept.labelled_at),
        signs=np.array(kept.sign, dtype=np.int8),
        corrected=np.array(kept.corrected, dtype=np.bool_),
        score_columns=columns if card.interval is None else None,
        ends=None if card.interval is None or columns is None else columns.astype(np.float64),
        groups={**groups, **later},
        values=values,
    )


def _facts(card: Card, *came: Sequence[str | None]) -> tuple[Names, dict[str, NDArray[np.float64]]]:
    """The groups that came after the request, and the numbers that came with the labels."""
    rows = len(came[0])
    names = [group.name for group in card.groups if group.source in ("label", "audit")]
    groups = {name: np.full(rows, None, dtype=np.object_) for name in names}
    values: dict[str, NDArray[np.float64]] = {}
    for place, texts_of_row in enumerate(zip(*came, strict=True)):
        for text in texts_of_row:
            if text is None:
                continue
            of_groups, of_values = json.loads(text)
            for name in of_groups.keys() & groups.keys():
                groups[name][place] = of_groups[name]
            for name in _room_for(of_values, values):
                values.setdefault(name, np.full(rows, np.nan))[place] = of_values[name]
    return groups, values


def _room_for(names: Collection[str], held: Collection[str]) -> list[str]:
    fresh = [name for name in names if name not in held]
    return [name for name in names if name in held] + fresh[: VALUE_NAMES_MAX - len(held)]


def _bytes_of(prediction_ids: NDArray[np.bytes_]) -> bytes:
    return bytes.fromhex(np.ascontiguousarray(prediction_ids, dtype="S32").tobytes().decode())


def _floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def _packed(columns: NDArray[Any]) -> Sequence[bytes | None]:
    """Each row's columns as bytes; the first says how wide a number is."""
    rows, width = columns.shape
    if width > COLUMNS_MAX or columns.dtype.kind not in "iuf":
        return [None] * rows
    single = columns.dtype in (np.float16, np.float32)
    kind, dtype = (_SINGLE, "<f4") if single else (_DOUBLE, "<f8")
    return [kind + row.tobytes() for row in columns.astype(dtype)]


def _unpacked(kept: Sequence[bytes | None]) -> NDArray[Any] | None:
    """The columns of all rows, shape (rows, columns); NaN in rows that have not as many."""
    first = next((each for each in kept if each is not None), None)
    if first is None:
        return None
    dtype = np.dtype("<f4" if first[:1] == _SINGLE else "<f8")
    blank = np.full((len(first) - 1) // dtype.itemsize, np.nan, dtype=dtype).tobytes()
    whole = b"".join(
        blank if each is None or len(each) != len(first) else each[1:] for each in kept
    )
    return np.frombuffer(whole, dtype=dtype).reshape(len(kept), -1)
