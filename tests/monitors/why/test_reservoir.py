"""A bounded sample of rows that does not depend on how they came, and forgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.blocks import SampleBlock
from monitors.stats.uniforms import mixed, stream_keys
from monitors.why.kept_rows import KeptRows
from monitors.why.reservoir import MEMORY_MAX_BYTES, Reservoir
from registry.card import Card, Policy
from tests.monitors.samples import CARD, block, columns, part

EVER = 2**62
HOUR = 3600
DAY = 24 * HOUR
BEGUN = 512 * 60 * 1000
"""A moment at which windows of all lengths begin."""


def made(rows: int, first: int = 0, at: float = BEGUN, seed: int = 1) -> SampleBlock:
    """A block made at a moment."""
    whole = block(columns(np.random.default_rng(seed), rows), first=first)
    return replace(whole, made_at=at)


def filled(blocks: Iterable[SampleBlock], card: Card = CARD, rows: int = 20) -> Reservoir:
    """A reservoir that has taken in blocks."""
    reservoir = Reservoir(card, rows)
    for each in blocks:
        reservoir.add(each)
    return reservoir


def all_of(reservoir: Reservoir, since: int = 0, until: int = EVER) -> KeptRows:
    """The sample of a time, which is not empty."""
    found = reservoir.rows(since, until)
    assert found is not None
    return found


def held(reservoir: Reservoir) -> list[tuple[int, int, float]]:
    """All that a reservoir holds: when, the rank, and a value."""
    reservoir.rows(0, EVER)
    rows = reservoir._tidy
    assert rows is not None
    values = rows.inputs["x"][:, 0].tolist()
    return sorted(zip(rows.moments.tolist(), rows.ranks.tolist(), values, strict=True))


def ranks_of(rows: SampleBlock) -> NDArray[np.uint64]:
    """The ranks of a block's rows."""
    return np.asarray(mixed(rows.keys() ^ stream_keys(["why"])[0]))


def test_the_smallest_ranks_of_a_minute_are_kept() -> None:
    """With what went in and what came out, of a hundred times as many rows."""
    rows = made(2000)
    found = all_of(filled(part(replace(rows), at, at + 100) for at in range(0, 2000, 100)))
    # Parts lose the moment: they are of the minute 0, which is as good.
    smallest = np.argsort(ranks_of(rows))[:20]
    assert found.ranks.tolist() == ranks_of(rows)[smallest].tolist()
    assert (found.inputs["x"] == rows.inputs["x"][smallest]).all()
    assert found.score.tolist() == rows.outputs["p"][smallest, 1].tolist()
    assert (found.selected == (found.score >= 0.5)).all()


def test_it_does_not_depend_on_the_order() -> None:
    """Nor on how rows were cut into blocks, nor on whether they came late."""
    blocks = [made(300, 300 * at, BEGUN + 61.0 * at, at) for at in range(60)]
    one, other = filled(blocks), filled(reversed(blocks))
    assert held(one) == held(other)


def test_replicas_merge_to_what_one_would_hold() -> None:
    """Exactly, whoever saw which rows; and as many rows came."""
    blocks = [made(300, 300 * at, BEGUN + 61.0 * at, at) for at in range(60)]
    first, second = filled(blocks[::2]), filled(blocks[1::2])
    first.merge(second)
    whole = filled(blocks)
    assert held(first) == held(whole)
    assert first.arrivals.began(5000) == whole.arrivals.began(5000)


def test_memory_is_bounded_over_a_week() -> None:
    """The last minutes are dense, the last days thin, and before that there is nothing."""
    reservoir = Reservoir(CARD, 20)
    for at in range(0, 7 * DAY, 600):
        reservoir.add(made(60, at, BEGUN + at, at))
    now = BEGUN + 7 * DAY
    moments = np.array([moment for moment, _, _ in held(reservoir)])
    assert len(moments) <= 4 * 8 * 20
    assert moments.min() >= now - 512 * 8 * 60
    recent, old = (moments > now - HOUR).sum(), (moments < now - 2 * DAY).sum()
    assert recent / 6 > 10 * old / (0.8 * DAY / 600)


def test_what_is_old_is_forgotten_though_nothing_comes() -> None:
    """Time is enough."""
    reservoir = filled([made(100)])
    reservoir.forget(BEGUN // 60 + 60)
    assert len(all_of(reservoir)) == 20
    reservoir.forget(BEGUN // 60 + 9 * 512)
    assert reservoir.rows(0, EVER) is None
    assert reservoir.arrivals.began(1) is None


@pytest.mark.parametrize("since", [BEGUN, BEGUN + 130, BEGUN + 3 * HOUR + 7])
def test_in_a_sample_every_row_is_as_likely(since: int) -> None:
    """Though minutes are kept as densely as hours: the share of a minute is that of its rows."""
    reservoir = Reservoir(CARD, 64)
    came: list[tuple[int, int]] = []
    for at in range(0, 4 * HOUR, 60):
        rows = 20 if at % 120 else 60
        reservoir.add(made(rows, 100 * at, BEGUN + at, at))
        came.append((BEGUN + at, rows))
    found = all_of(reservoir, since)
    assert len(found) >= 64
    came = [(moment, rows) for moment, rows in came if moment >= since]
    share = sum(rows for moment, rows in came if moment % 120 == 0) / sum(r for _, r in came)
    assert (found.moments % 120 == 0).mean() == pytest.approx(share, abs=0.12)
    later = np.mean([moment for moment, _ in came])
    spread = (BEGUN + 4 * HOUR - since) / 12**0.5
    assert found.moments.mean() == pytest.approx(later, abs=4 * spread / len(found) ** 0.5)


def test_a_time_has_its_own_rows() -> None:
    """From a second on, and up to one that is not in it."""
    reservoir = filled([made(30, 0, BEGUN), made(30, 30, BEGUN + 5), made(30, 60, BEGUN + 9)])
    assert set(all_of(reservoir, BEGUN + 5, BEGUN + 9).moments.tolist()) == {BEGUN + 5}
    assert reservoir.rows(BEGUN + 10, EVER) is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_the_card_drops_is_not_kept(order: Any) -> None:
    """Numbers are zeros and texts are empty, however the tensor lies in memory."""
    dropped = [
        each.model_copy(update={"policy": Policy.DROP}) if each.name != "age" else each
        for each in CARD.features
    ]
    rows = made(30)
    rows = replace(rows, inputs={**rows.inputs, "x": np.array(rows.inputs["x"], order=order)})
    before = rows.inputs["x"].copy()
    found = all_of(filled([rows], CARD.model_copy(update={"features": tuple(dropped)})))
    assert (found.inputs["x"][:, 1] == 0).all()
    assert (found.inputs["x"][:, 0] != 0).all()
    assert set(found.inputs["town"].reshape(-1).tolist()) == {""}
    assert (rows.inputs["x"] == before).all()


def test_rows_with_long_texts_are_left_out() -> None:
    """A caller cannot fill memory with them."""
    rows = made(30)
    town = rows.inputs["town"].copy()
    town[:25] = "x" * 257
    found = all_of(filled([replace(rows, inputs={**rows.inputs, "town": town})]))
    assert len(found) == 5


def test_wide_rows_are_fewer_and_very_wide_ones_none() -> None:
    """What they may take is fixed."""

    def wide(columns: int) -> Reservoir:
        rows = made(1000)
        return filled([replace(rows, inputs={"x": np.zeros((1000, columns))})], rows=256)

    some = len(all_of(wide(200)))
    assert 16 <= some < 256
    assert some * 32 * 200 * 8 <= MEMORY_MAX_BYTES
    assert not wide(2000).keeps
    assert wide(2000).rows(0, EVER) is None


def test_rows_of_another_shape_are_left_out() -> None:
    """They cannot stand in one column with the first ones; blocks without rows say nothing."""
    rows = made(30)
    nothing = replace(
        part(rows, 0, 0), inputs={name: np.zeros((0, 1)) for name in rows.inputs}, made_at=BEGUN
    )
    other = replace(made(30, 30), inputs={**rows.inputs, "x": np.zeros((30, 5), np.float32)})
    found = all_of(filled([nothing, rows, other]))
    assert found.inputs["x"].shape == (20, 2)


@pytest.mark.parametrize("rows", [0, 15])
def test_keeping_can_be_turned_off(rows: int) -> None:
    """Or is not worth it."""
    reservoir = filled([made(100)], rows=rows)
    assert not reservoir.keeps
    assert reservoir.rows(0, EVER) is None


def test_what_cannot_be_read_is_no_score() -> None:
    """A card that names no column of several has neither a score nor a decision."""
    card = Card.model_validate(CARD.model_dump() | {"score": {"output": "p"}})
    found = all_of(filled([made(30)], card))
    assert np.isnan(found.score).all()
    assert np.isnan(found.selected).all()
