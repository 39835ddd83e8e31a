"""The training log: rows wait for their labels on disk, and become Parquet files by day."""

from __future__ import annotations

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import numpy as np

from configs.errors import Refused
from configs.settings import Training
from monitors.blocks import SampleBlock, Series
from monitors.labels.judged import Floats, JudgedBlock
from monitors.telemetry import names
from monitors.training.files import (
    DAY_S,
    Truth,
    correct,
    day_folder,
    delete_rows,
    drop_days,
    write_part,
)
from monitors.training.rows import permitted, rows_of, wanted
from monitors.training.spool import Judgement, Spool
from registry.card import Card

GATHERED_ROWS_MAX = 100_000
"""Rows that may be gathered in memory before they are written; more are left out."""

_RETAIN_EVERY_S = 3600.0

_log = logging.getLogger("weir.training")


@dataclass(slots=True)
class Gathered:
    """What came since it was written last."""

    kept: list[tuple[Card, SampleBlock]] = field(default_factory=list)
    judged: list[JudgedBlock] = field(default_factory=list)
    rows: int = 0
    left_out: int = 0


class TrainingLog:
    """Features that may be kept, with their labels, of the models that the settings name.

    `take` and `judge` only gather; `write` works on the disk, with what was `gathered`. What was
    gathered and not written is lost with the process. `OSError` where the folder cannot be used.
    """

    def __init__(self, folder: Path, settings: Training) -> None:
        self._folder = folder
        self._settings = settings
        self._spool = _opened(folder)
        self._gathered = Gathered()
        self._retains_at = float("-inf")
        # All of them from the beginning: one thread counts while another reads.
        self._counted: dict[Series, int] = {
            (names.TRAINING_ROWS.name, ()): 0,
            (names.TRAINING_WRITTEN.name, ()): 0,
            **{_dropped(reason): 0 for reason in names.TRAINING_DROP_REASONS},
        }

    def close(self) -> None:
        """Give the files back."""
        self._spool.close()

    def take(self, card: Card, block: SampleBlock) -> None:
        """Gather the rows of a block, if its model is named and the card allows it."""
        if block.model not in self._settings.models or not wanted(card, block.role):
            return
        if self._room_for(block.rows):
            self._gathered.kept.append((card, block))

    def judge(self, block: JudgedBlock) -> None:
        """Gather the truth of rows."""
        if block.model in self._settings.models and self._room_for(block.rows):
            self._gathered.judged.append(block)

    def gathered(self) -> Gathered:
        """What came since this was asked last; whoever asks has to write it."""
        gathered, self._gathered = self._gathered, Gathered()
        return gathered

    def counters(self) -> dict[Series, int]:
        """What was written and what was let go of since the start, as the registry names it."""
        return dict(self._counted)

    def write(self, gathered: Gathered, now: float) -> None:
        """Keep rows on disk, make files of those that have their label, and drop what is too old.

        `OSError` where that cannot be done: rows that are on disk stay, the others are lost.
        """
        self._counted[_dropped("too_fast")] += gathered.left_out
        if gathered.left_out:
            _log.warning("%d rows came too fast and are left out", gathered.left_out)
        unwritten = sum(block.rows for _, block in gathered.kept)
        try:
            with self._spool.together():
                unfit = self._keep(gathered)
                late = self._judge(gathered, now)
                self._spool.set_apart(self._settings.rows_per_file, now - self._settings.write_s)
                surplus, expired = self._bound(now)
            unwritten = 0
            for reason, rows in (("unfit", unfit), ("surplus", surplus), ("expired", expired)):
                self._counted[_dropped(reason)] += rows
            self._write_parts()
        except (sqlite3.Error, ValueError, OverflowError) as error:  # Arrow's errors are values'.
            self._counted[_dropped("unwritten")] += unwritten
            message = f"the training log cannot be written: {error}"
            raise OSError(message) from error
        for folder, truths in late.items():
            correct(folder, truths)
        if now >= self._retains_at:
            self._retains_at = now + _RETAIN_EVERY_S
            drop_days(self._folder, now - self._settings.retention_days * DAY_S)

    def _room_for(self, rows: int) -> bool:
        if self._gathered.rows + rows > GATHERED_ROWS_MAX:
            self._gathered.left_out += rows
            return False
        self._gathered.rows += rows
        return True

    def _keep(self, gathered: Gathered) -> int:
        """Keep rows until their label comes; says how many do not fit their card."""
        unfit = 0
        for card, block in gathered.kept:
            try:
                rows = list(rows_of(card, block))
            except Refused as error:  # Tensors that do not fit the card: the monitors say it, too.
                _log.warning("rows of %s are left out: %s", block.model, error)
                unfit += block.rows
                continue
            self._spool.add(block.model, block.version, permitted(card), rows)
        return unfit

    def _judge(self, gathered: Gathered, now: float) -> dict[Path, dict[int, Truth]]:
        """Keep labels; those of rows that are in files already are given by the files' folder."""
        late: dict[Path, dict[int, Truth]] = defaultdict(dict)
        for block in gathered.judged:
            for judgement, corrected in _judgements(block):
                here = self._spool.judge(block.model, block.version, judgement, now)
                if corrected and not here:
                    day = int(judgement.predicted_at // DAY_S)
                    folder = day_folder(self._folder, block.model, block.version, day)
                    late[folder][judgement.key] = (judgement.label, judgement.labelled_at)
        return late

    def _write_parts(self) -> None:
        """Make files of all parts; one that was cut short is written once more."""
        for part in self._spool.parts():
            features = self._spool.features(part.model, part.version)
            folder = day_folder(self._folder, part.model, part.version, part.day)
            rows = self._spool.rows(part)
            size = write_part(folder, part.number, features, rows)
            self._spool.drop_part(part)
            self._counted[names.TRAINING_ROWS.name, ()] += len(rows)
            self._counted[names.TRAINING_WRITTEN.name, ()] += size

    def _bound(self, now: float) -> tuple[int, int]:
        """Let go of what is too much and what is too old; says how many rows of each."""
        settings = self._settings
        surplus = self._spool.drop_surplus(settings.wait_max_rows)
        if surplus:
            _log.warning(
                "%d rows went before their label came: training_log.wait_max_rows", surplus
            )
        return surplus, self._spool.drop_waiting(now - settings.wait_days * DAY_S)


def _dropped(reason: str) -> Series:
    return names.TRAINING_ROWS_DROPPED.name, (reason,)


def delete(folder: Path, model: str, wanted_id: str) -> int:
    """Take all rows of a prediction id or request id out of a log that nobody else has open.

    Says how many there were. `OSError` where the files cannot be read or written.
    """
    if not folder.exists():
        return 0
    spool = _opened(folder)
    try:
        waiting = spool.delete(model, wanted_id)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    finally:
        spool.close()
    return waiting + delete_rows(folder, model, wanted_id)


def _opened(folder: Path) -> Spool:
    try:
        return Spool(folder)
    except sqlite3.Error as error:
        message = f"{folder} cannot be opened as a training log: {error}"
        raise OSError(message) from error


def _judgements(block: JudgedBlock) -> Iterator[tuple[Judgement, bool]]:
    """The rows that count from now on, and whether their label is another than before."""
    there = (block.signs > 0) & ~np.isnan(block.labels)
    columns = (block.scores, block.decisions, block.labels, block.predicted_at, block.labelled_at)
    keys = block.keys[there].view(np.int64).tolist()
    values = zip(keys, *(_known(column[there]) for column in columns), strict=True)
    for row, corrected in zip(values, block.corrected[there].tolist(), strict=True):
        yield Judgement(*row), corrected


def _known(values: Floats) -> list[float | None]:
    return [None if isnan(value) else value for value in values.tolist()]
