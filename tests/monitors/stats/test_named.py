"""Named streams, worked on a few at a time, are what all streams together are."""

from __future__ import annotations

import numpy as np

from monitors.stats.named import STREAMS_AT_ONCE, NamedStreams
from monitors.stats.running import SKIP
from monitors.stats.starts import SpreadStarts
from monitors.stats.streams import Streams
from monitors.stats.tilts import share_tilts
from monitors.stats.uniforms import row_uniforms, stream_keys


def test_a_few_at_a_time_is_all_together() -> None:
    """More streams than are worked on at once, more rows than are, and skipped ones among them."""
    rng = np.random.default_rng(0)
    count = STREAMS_AT_ONCE + 3
    names = [f"s{number}" for number in range(count)]
    shares = rng.uniform(0.01, 0.9, count)
    reference = rng.integers(1, 50, (count, 2))
    codes = rng.integers(SKIP, 2, (count, 611)).astype(np.int16)
    keys = rng.integers(0, 2**63, 611).astype(np.uint64)

    named = NamedStreams(names, reference, lambda part: share_tilts(shares[part]))
    together = Streams(reference, share_tilts(shares), SpreadStarts())
    for rows in (slice(0, 400), slice(400, 611)):
        named.update(keys[rows], codes[:, rows])
        together.update(codes[:, rows], row_uniforms(keys[rows], stream_keys(names)))

    np.testing.assert_allclose(named.log_wealth(), together.log_wealth(), rtol=1e-9)
    np.testing.assert_array_equal(named.counts, together.counts)
    np.testing.assert_array_equal(named.counts_since_change(), together.counts_since_change())


def test_no_streams_have_nothing_to_say() -> None:
    """Without names there are no counts and no evidence, whatever rows come."""
    named = NamedStreams([], np.zeros((0, 2), dtype=np.int64), lambda _: share_tilts(np.zeros(0)))
    named.update(np.zeros(5, dtype=np.uint64), np.zeros((0, 5), dtype=np.int16))

    assert named.log_wealth().shape == (0,)
    assert named.counts.shape == named.counts_since_change().shape == (0, 2)
