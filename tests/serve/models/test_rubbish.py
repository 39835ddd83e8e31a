"""Whatever bytes come over a link are frames or a broken frame, in bounded memory and time."""

from __future__ import annotations

import contextlib
import random
import resource
import struct
import tracemalloc
from itertools import pairwise
from time import process_time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.settings import Limits
from serve.models.frames import (
    MAX_FRAME,
    BrokenFrame,
    Frame,
    Kind,
    decode,
    encode,
    failure,
    longest,
)
from serve.models.incoming import Splitter

LONGEST = 2**20
FRAMES = (
    Frame(Kind.RUN, 1, 7, (np.ones((2, 30), np.float32),)),
    Frame(Kind.ANSWER, 1, 7, (np.array([["a", "bc"]], object), np.arange(3))),
    Frame(Kind.RUN, 1, 8, (np.zeros((0, 3), np.bool_), np.array(1.0)), ("trace one", "")),
    Frame(Kind.ANSWER, 2**32 - 1, 2**64 - 1, tuple(np.ones((1, 1)) for _ in range(40))),
    failure(1, 9, "not_ready", "no"),
    Frame(Kind.GOODBYE, 0, 0),
    Frame(Kind.PING, 0, 0),
)
WIRES = tuple(b"".join(encode(frame)) for frame in FRAMES)
HOSTILE = tuple(
    number.to_bytes(size, "little")
    for size in (1, 2, 4, 8)
    for number in (0, 1, 64, 65, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
)


def mutated(chance: random.Random) -> bytes:
    """Some valid frames that something happened to: cut, swapped, repeated or overwritten."""
    wires = [chance.choice(WIRES) for _ in range(chance.randint(1, 3))]
    stream = bytearray(b"".join(wires))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(stream) + 1)
        to = min(len(stream), at + chance.randrange(40))
        match chance.randrange(6):
            case 0:
                del stream[at:to]
            case 1:
                stream[at:at] = stream[at:to]
            case 2:
                stream[at:to] = chance.randbytes(to - at)
            case 3:
                value = chance.choice(HOSTILE)
                stream[at : at + len(value)] = value
            case 4:
                stream[at:to], stream[:0] = b"", stream[at:to]
            case _ if stream:
                stream[at % len(stream)] ^= 1 << chance.randrange(8)
    return bytes(stream)


def swallow(stream: bytes, cuts: list[int]) -> int:
    """Feed a stream in pieces to a splitter and decode it; gives how many frames came out."""
    splitter, frames = Splitter(LONGEST), 0
    with contextlib.suppress(BrokenFrame):
        for start, end in pairwise([0, *sorted(cuts), len(stream)]):
            for payload in splitter.feed(stream[start:end]):
                decode(payload)
                frames += 1
    return frames


@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_random_bytes(stream: bytes, cuts: list[int]) -> None:
    """Nothing but a broken frame comes out of bytes that nobody meant."""
    swallow(stream, cuts)


@settings(max_examples=1000, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 400), max_size=4))
def test_frames_that_something_happened_to(chance: random.Random, cuts: list[int]) -> None:
    """Cut, swapped, repeated or overwritten frames are frames or broken."""
    swallow(mutated(chance), cuts)


@pytest.mark.hostile
@pytest.mark.timeout(600)
def test_a_hundred_thousand_streams() -> None:
    """The same for 100,000 streams, in bounded memory."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance, frames = random.Random(seed), 0  # noqa: S311 - to be repeated
    tracemalloc.start()
    for number in range(100_000):
        stream = chance.randbytes(chance.randrange(200)) if number % 4 == 0 else mutated(chance)
        frames += swallow(stream, [chance.randrange(400) for _ in range(chance.randrange(4))])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert frames > 10_000
    assert peak < 16 * 2**20


@pytest.mark.parametrize("length", [LONGEST + 1, 2**31, 2**32 - 1])
def test_a_length_beyond_what_is_expected_is_refused_at_once(length: int) -> None:
    """Nothing is kept of a frame that is too long."""
    with pytest.raises(BrokenFrame, match="too long"):
        Splitter(LONGEST).feed(struct.pack("<I", length))


def test_a_length_alone_takes_no_memory() -> None:
    """A frame that is announced, begun and never sent costs the pages that it wrote."""
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    waiting = []
    for _ in range(4):
        waiting.append(Splitter(MAX_FRAME))
        waiting[-1].feed(struct.pack("<I", MAX_FRAME) + b"x" * 100)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib < 64 * 2**10


def test_the_longest_frame_follows_from_the_longest_body() -> None:
    """What a body can become fits; 64 MiB by default, so that rubbish cannot ask for 2 GiB."""
    assert longest(Limits().body_max_bytes) == (8 * 64 + 65) * 2**20
    assert longest(2**31 - 1) == MAX_FRAME


@pytest.mark.parametrize(
    "payload",
    [
        struct.pack("<BBHIQ", 1, 0, 65535, 1, 1),
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1)
        + struct.pack("<BBHIQ", 13, 1, 0, 0, 0)
        + struct.pack("<q", 2**62),
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1)
        + struct.pack("<BBHIQ", 13, 1, 0, 0, 4)
        + struct.pack("<q", 1)
        + struct.pack("<I", 2**32 - 1),
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1)
        + struct.pack("<BBHIQ", 1, 64, 0, 0, 0)
        + b"\xff" * 512,
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1)
        + struct.pack("<BBHIQ", 1, 255, 0, 0, 0)
        + b"\0" * 2040,
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1)
        + struct.pack("<BBHIQ", 0, 1, 0, 0, 2**63)
        + struct.pack("<q", 1),
        struct.pack("<BBHIQ", 1, 0, 1, 1, 1) + struct.pack("<BBHIQ", 200, 0, 0, 0, 1) + b"\0",
        struct.pack("<BBHIQ", 99, 0, 0, 1, 1),
        struct.pack("<BBHIQ", 1, 1, 0, 1, 1),
        struct.pack("<BBHIQ", 1, 255, 1, 1, 1),
    ],
    ids=[
        *("counts", "strings", "string-length", "negative", "dimensions", "size", "datatype"),
        *("kind", "no-traces", "traced"),
    ],
)
def test_figures_that_promise_too_much(payload: bytes) -> None:
    """Counts, dimensions, sizes and lengths that the bytes do not hold are a broken frame."""
    tracemalloc.start()
    with pytest.raises(BrokenFrame):
        decode(memoryview(payload))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2**20


@pytest.mark.hostile
def test_bytes_that_come_singly_cost_no_more_for_a_longer_frame() -> None:
    """Four times the bytes take about four times the time, not sixteen."""

    def seconds(size: int) -> float:
        wire = b"".join(encode(Frame(Kind.RUN, 1, 1, (np.zeros(size, np.uint8),))))
        best = 1e9
        for _ in range(3):
            splitter, begun = Splitter(), process_time()
            for at in range(len(wire)):
                splitter.feed(wire[at : at + 1])
            best = min(best, process_time() - begun)
        return best

    assert seconds(80_000) < 8 * seconds(20_000)
