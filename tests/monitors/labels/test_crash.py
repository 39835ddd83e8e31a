"""A label book that is killed at any moment has everything that it acknowledged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from tests.monitors.labels.samples import AWAITED, CARD, START, Reader, label

ROOT = Path(__file__).parents[3]
ROWS = 20

WRITER = """
import sys
from pathlib import Path
from configs.settings import Labels
from monitors.labels import addresses
from monitors.labels.book import LabelBook
from tests.monitors.labels.samples import AWAITED, CARD, START, label, predictions

addresses.GATHERED_MAX = 50  # So that it is killed while names go into the tree, too.
folder, step = Path(sys.argv[1]), int(sys.argv[2])
book = LabelBook(folder, Labels())
while True:
    numbers = range(20 * step, 20 * step + 20)
    # Half of the labels come before their predictions.
    early = book.feedback("m", [label(n, n % 3 == 0) for n in numbers if n % 2], AWAITED, START)
    assert early.waiting == early.accepted == 10
    print("labels", step, 1, flush=True)
    book.expect(predictions(numbers), CARD, START)
    print("predictions", step, 0, flush=True)
    late = book.feedback("m", [label(n, n % 3 == 0) for n in numbers if not n % 2], AWAITED, START)
    assert late.joined == late.accepted == 10
    print("labels", step, 0, flush=True)
    book.ripen(START)
    print("ready", step, 0, flush=True)
    step += 1
"""


def _written_until_killed(folder: Path, step: int, seconds: float) -> list[tuple[str, int, int]]:
    """What a writer acknowledged before it was killed, some time after its first round."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(step)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        lines = []
        for line in writer.stdout:
            lines.append(line)
            if line.startswith("ready"):
                break
        killer = Timer(seconds, writer.kill)
        killer.start()
        lines += writer.stdout.readlines()
        killer.join()
    whole = [line.split() for line in lines if line.endswith("\n") and "ready" not in line]
    return [(kind, int(at), int(odd)) for kind, at, odd in whole]


def _killed(folder: Path, kills: int) -> None:
    """Kill writers, and look at what is there after each; nothing is folded twice or never."""
    random = np.random.default_rng(20260102)
    step = 0
    reader = Reader(folder)
    acknowledged: set[int] = set()
    for _ in range(kills):
        reader.book.close()
        lines = _written_until_killed(folder, step, random.uniform(0.0, 0.3))
        reader.restart()
        for kind, at, odd in lines:
            numbers = range(ROWS * at, ROWS * (at + 1))
            if kind == "labels":
                acknowledged |= {n for n in numbers if n % 2 == odd}
            _is_there(reader, kind, list(numbers), odd)
        # What was under way may be there or not: the next writer begins behind it.
        step = max((at for _, at, _ in lines), default=step) + 2
        reader.read(START)
    told = reader.book.told("m", {1: CARD}, START)
    labels = told.counts["joined"] + told.counts["waiting"]
    assert labels >= len(acknowledged) > kills
    folded = np.concatenate([block.keys for block in reader.blocks])
    assert len(folded) == len(set(folded.tolist())) == told.counts["labelled"]
    assert all((block.signs == 1).all() for block in reader.blocks)
    reader.book.close()
    (path,) = folder.glob("*.db")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def _is_there(reader: Reader, kind: str, numbers: list[int], odd: int) -> None:
    """What was acknowledged is known already when it comes again."""
    if kind == "labels":
        again = [label(n, n % 3 == 0) for n in numbers if n % 2 == odd]
        receipt = reader.book.feedback("m", again, AWAITED, START)
        assert receipt.repeated == len(again)
    else:
        db = reader.book._stores["m"]._db
        known = "SELECT 1 FROM predictions WHERE id_high = ?1 AND id_low = ?1"
        assert all(db.execute(known, (n,)).fetchone() for n in numbers)


def test_kill_9_loses_no_label_and_no_prediction_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed at a few moments; all that was acknowledged is there, and is folded once."""
    _killed(tmp_path, 4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_9_at_a_hundred_moments(tmp_path: Path) -> None:
    """The same, a hundred times on one file."""
    _killed(tmp_path, 100)
