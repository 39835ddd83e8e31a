"""Frames arrive as they were sent, however the stream is cut; garbage is a broken frame."""

from __future__ import annotations

import contextlib
import math
from itertools import pairwise
from struct import Struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from registry.signature import DTYPES, Datatype
from serve.models.frames import MAX_FRAME, BrokenFrame, Frame, Kind, decode, encode
from serve.models.incoming import Splitter

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@st.composite
def tensors(draw: st.DrawFn) -> NDArray[Any]:
    """An array of any datatype, also 0-dimensional, empty, or not contiguous."""
    datatype = draw(st.sampled_from(list(Datatype)))
    shape = draw(SHAPES)
    if datatype is Datatype.BYTES:
        size = math.prod(shape)
        flat = np.empty(size, object)
        flat[:] = draw(st.lists(st.text(max_size=6), min_size=size, max_size=size))
        made: NDArray[Any] = flat.reshape(shape)
    else:
        made = draw(arrays.arrays(DTYPES[datatype], shape))
    return made.T if draw(st.booleans()) else made


FRAMES = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.lists(tensors(), max_size=3).map(tuple),
    st.lists(st.text(max_size=8), max_size=3).map(tuple),
)


def wire(frame: Frame) -> bytes:
    """The bytes of a frame as they travel."""
    return b"".join(encode(frame))


def same(left: Frame, right: Frame) -> bool:
    """Whether two frames agree, tensors bit for bit."""
    heads = [(frame.kind, frame.version, frame.sequence, frame.traces) for frame in (left, right)]
    return heads[0] == heads[1] and all(
        ours.dtype == theirs.dtype
        and ours.shape == theirs.shape
        and (ours.dtype == object or ours.tobytes() == theirs.tobytes())
        and (ours.dtype != object or ours.tolist() == theirs.tolist())
        for ours, theirs in zip(left.tensors, right.tensors, strict=True)
    )


@given(FRAMES)
def test_a_frame_arrives_as_it_was_sent(frame: Frame) -> None:
    """Kind, version, sequence, traces and every tensor survive, whatever type or shape."""
    (payload,) = Splitter().feed(wire(frame))

    assert same(decode(payload), frame)


@given(st.lists(FRAMES, max_size=4), st.data())
def test_a_stream_may_be_cut_anywhere(sent: list[Frame], data: st.DataObject) -> None:
    """However the bytes are cut, the same frames come out, none early and none late."""
    stream = b"".join(map(wire, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = Splitter()

    payloads = [
        payload
        for start, end in pairwise([0, *cuts, len(stream)])
        for payload in splitter.feed(stream[start:end])
    ]

    assert len(payloads) == len(sent)
    assert all(same(decode(got), frame) for got, frame in zip(payloads, sent, strict=True))


def test_one_byte_at_a_time() -> None:
    """A frame is complete with its last byte, and not before."""
    frame = Frame(Kind.ANSWER, 1, 2, (np.arange(3),), ("a b c",))
    stream, splitter = wire(frame), Splitter()

    early = [payload for byte in stream[:-1] for payload in splitter.feed(bytes([byte]))]

    assert early == []
    assert len(splitter.feed(stream[-1:])) == 1


def test_bytes_are_strings_too() -> None:
    """String tensors may hold `bytes` of UTF-8; they arrive as text."""
    array = np.array([b"caf\xc3\xa9", "tea"], object)

    (payload,) = Splitter().feed(wire(Frame(Kind.RUN, 1, 1, (array,))))

    assert decode(payload).tensors[0].tolist() == ["café", "tea"]


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_garbage_is_a_broken_frame(garbage: bytes) -> None:
    """Bytes that are no frame raise `BrokenFrame` and nothing else."""
    with contextlib.suppress(BrokenFrame):
        decode(memoryview(garbage))


@settings(max_examples=300)
@given(FRAMES, st.data())
def test_damage_is_a_broken_frame(frame: Frame, data: st.DataObject) -> None:
    """A frame of which one byte is changed is read or refused, never anything else."""
    payload = bytearray(wire(frame)[4:])
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(BrokenFrame):
        decode(memoryview(bytes(payload)))


@given(FRAMES, st.data())
def test_a_frame_that_ends_early_is_broken(frame: Frame, data: st.DataObject) -> None:
    """Each byte of a frame counts: without its end it does not parse."""
    payload = wire(frame)[4:]
    end = data.draw(st.integers(0, len(payload) - 1))

    with pytest.raises(BrokenFrame):
        decode(memoryview(payload[:end]))


def test_bytes_behind_the_last_tensor_break_a_frame() -> None:
    """A frame holds its tensors and nothing else."""
    payload = wire(Frame(Kind.RUN, 1, 1, (np.arange(3),)))[4:]

    with pytest.raises(BrokenFrame, match="too many"):
        decode(memoryview(payload + b"\0"))


def test_trace_contexts_must_be_strings() -> None:
    """A frame that calls a single number its traces is broken."""
    payload = bytearray(wire(Frame(Kind.RUN, 1, 1, (np.array(1.0),)))[4:])
    payload[1] = 1

    with pytest.raises(BrokenFrame):
        decode(memoryview(bytes(payload)))


def test_a_length_beyond_the_limit_breaks_the_stream() -> None:
    """A stream that announces more than 2 GiB is cut off at once, before it is kept in memory."""
    with pytest.raises(BrokenFrame, match="too long"):
        Splitter().feed(Struct("<I").pack(MAX_FRAME + 1))


def test_a_model_may_have_many_tensors() -> None:
    """One tensor per feature, for a few hundred features, fits in a frame."""
    frame = Frame(Kind.RUN, 1, 1, tuple(np.array([[float(n)]]) for n in range(400)))

    (payload,) = Splitter().feed(wire(frame))

    assert same(decode(payload), frame)


@pytest.mark.parametrize("character", "bBhHiIlLqQefd?")
def test_every_name_of_a_type_is_understood(character: str) -> None:
    """C's long and long long are one type to the protocol, whichever a runtime says."""
    tensor = np.array([0, 1], dtype=np.dtype(character))

    payload = memoryview(wire(Frame(Kind.ANSWER, 1, 1, (tensor,))))[4:]

    (found,) = decode(payload).tensors

    assert found.dtype == tensor.dtype
    assert found.tolist() == tensor.tolist()
