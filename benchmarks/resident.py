"""What the observer holds in memory over ten million rows: `python -m benchmarks.resident`.

Rows of 30 numbers that never change, in blocks of 500, over 30 days, with a look at all signals
every 5,000 rows. Prints the memory of this process every million rows.
"""

from __future__ import annotations

import os

# One core is what is measured; numpy reads this when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
from dataclasses import replace
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.accuracy.streams import independent
from benchmarks.accuracy.weir import card, model, profile, signature
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.observer import Observer
from registry.records import Version

ROWS = 10_000_000
BLOCK = 500
LOOK_EVERY = 10
"""Blocks."""
SECONDS = 30 * 86_400.0
_BEGAN = 1_700_000_000.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Fold, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resident", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    rng = np.random.default_rng(0)
    known = profile(independent(rng, 20_000).astype(np.float32), ())
    version = Version("m", 1, "", signature(()), card(()), None, 0, "", "")
    now = [_BEGAN]
    observer = Observer(
        Monitors(),
        lambda _model, _version: (version, known.to_json()),
        "resident",
        lambda: now[0],
        process_time,
    )
    for number in range(rows // BLOCK):
        now[0] = _BEGAN + SECONDS * number * BLOCK / rows
        observer.fold(_block(rng, now[0]))
        if number % LOOK_EVERY == 0:
            observer.snapshots()
        if (number + 1) * BLOCK % (rows // 10) == 0:
            print(f"{(number + 1) * BLOCK:>12,} rows: {_resident() / 2**20:,.1f} MiB", flush=True)


def _block(rng: np.random.Generator, made_at: float) -> SampleBlock:
    inputs = {"x": independent(rng, BLOCK).astype(np.float32)}
    ids = np.frombuffer(rng.bytes(16 * BLOCK).hex().encode("ascii"), dtype="S32")
    made = SampleBlock(
        "m", 1, "stable", "s", 1.0, ids, np.zeros(BLOCK, dtype=np.int64), inputs, model(inputs)
    )
    return replace(made, made_at=made_at, answered=BLOCK)


def _resident() -> int:
    """The memory of this process that is in use, in bytes (proc(5))."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


if __name__ == "__main__":
    main()
