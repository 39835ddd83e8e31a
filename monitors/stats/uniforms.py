"""Uniform numbers that belong to a row: the same row always draws the same ones."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter 64-bit words so that near ones end up unrelated (SplitMix64, Steele et al. 2014)."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def unit_interval(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn scattered words into numbers strictly between 0 and 1."""
    numbers = (words >> np.uint64(12)).astype(np.float64)
    numbers += 0.5
    numbers *= 2.0**-52
    return numbers


def row_keys(
    prediction_ids: NDArray[np.bytes_], row_numbers: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """One 64-bit key per row, shape (rows,), from the prediction id and the row in its request."""
    ids = np.ascontiguousarray(prediction_ids, dtype="S32").view(np.uint64).reshape(-1, 4)
    keys = mixed(row_numbers.astype(np.uint64))
    for part in range(4):
        keys = mixed(keys ^ ids[:, part])
    return keys


def stream_keys(names: Iterable[str]) -> NDArray[np.uint64]:
    """One 64-bit key per named stream, shape (names,)."""
    digests = [blake2b(name.encode("utf-8"), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def row_uniforms(keys: NDArray[np.uint64], streams: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Independent uniform numbers, shape (streams, rows), for the rows' keys."""
    return unit_interval(mixed(keys[None, :] ^ mixed(streams)[:, None]))
