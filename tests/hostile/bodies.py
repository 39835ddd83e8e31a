"""Bodies that somebody might send to see what happens, each wrong in one way.

All are for a model with one input `x`, FP32 [-1, 3]; none of them may be answered.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

Headers = Mapping[str, str]


class Body(NamedTuple):
    """What is sent, with which headers, and a name for it."""

    name: str
    content: bytes
    headers: Headers = MappingProxyType({})


def all_bodies() -> tuple[Body, ...]:
    """Every body of the table."""
    return (
        *_not_json(),
        *_odd_documents(),
        *_odd_tensors(),
        *_odd_numbers(),
        *_odd_outputs(),
        *_odd_parameters(),
        *_odd_frames(),
        *_odd_encodings(),
    )


def tensor(**changed: object) -> dict[str, Any]:
    """A good tensor with something changed; `...` takes a key away."""
    whole = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3], **changed}
    return {key: value for key, value in whole.items() if value is not ...}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _request(*tensors: object, **more: object) -> bytes:
    return _json({"inputs": tensors, **more})


def _not_json() -> Iterator[Body]:
    good = _request(tensor())
    texts: dict[str, bytes] = {
        "nothing": b"",
        "space": b"   ",
        "nul": b"\0",
        "half": good[: len(good) // 2],
        "twice": good + good,
        "trailing-comma": b'{"inputs": [],}',
        "single-quotes": b"{'inputs': []}",
        "comment": b'{"inputs": [] /* */}',
        "not-utf8": b'{"id": "\xff\xfe"}',
        "overlong-utf8": b'{"id": "\xc0\xaf"}',
        "lone-surrogate": b'{"id": "\\ud800", "inputs": []}',
        "utf16": '{"inputs": []}'.encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + good,
        "nan": b'{"inputs": [NaN]}',
        "infinity": b'{"inputs": [Infinity]}',
        "hex-number": b'{"inputs": [0x10]}',
        "leading-zero": b'{"inputs": [01]}',
        "plus": b'{"inputs": [+1]}',
        "control-in-string": b'{"id": "a\nb", "inputs": []}',
        "bad-escape": b'{"id": "\\x41", "inputs": []}',
        "xml": b"<?xml version='1.0'?><inputs/>",
        "yaml": b"inputs:\n - name: x\n",
        "pickle": b"\x80\x04\x95\x10\x00\x00\x00.",
        "form": b"inputs=1&name=x",
        "zip": b"PK\x03\x04" + b"\0" * 64,
        "elf": b"\x7fELF" + b"\0" * 64,
        "random": bytes(range(256)),
    }
    for name, content in texts.items():
        yield Body(f"not-json/{name}", content)
    for depth in (101, 1_025, 250_000):
        yield Body(f"not-json/deep-list-{depth}", b"[" * depth + b"]" * depth)
        yield Body(f"not-json/deep-object-{depth}", b'{"a":' * depth + b"1" + b"}" * depth)
        yield Body(
            f"not-json/deep-data-{depth}",
            b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":'
            + b"[" * depth
            + b"]" * depth
            + b"}]}",
        )
        yield Body(
            f"not-json/deep-parameter-{depth}",
            b'{"parameters":{"a":' + b"[" * depth + b"]" * depth + b'},"inputs":[]}',
        )


def _odd_documents() -> Iterator[Body]:
    documents: dict[str, object] = {
        "list": [],
        "string": "inputs",
        "number": 7,
        "true": True,
        "null": None,
        "empty-object": {},
        "inputs-null": {"inputs": None},
        "inputs-object": {"inputs": {}},
        "inputs-string": {"inputs": "x"},
        "inputs-empty": {"inputs": []},
        "input-null": {"inputs": [None]},
        "input-list": {"inputs": [[]]},
        "input-string": {"inputs": ["x"]},
        "unknown-key": {"inputs": [tensor()], "rows": 1},
        "prototype": {"inputs": [tensor()], "__proto__": {}},
        "class-key": {"inputs": [tensor()], "__class__": "x"},
        "id-number": {"inputs": [tensor()], "id": 7},
        "id-list": {"inputs": [tensor()], "id": []},
        "id-object": {"inputs": [tensor()], "id": {}},
        "same-input-twice": {"inputs": [tensor(), tensor()]},
        "unknown-input": {"inputs": [tensor(name="z")]},
        "no-name": {"inputs": [tensor(name=...)]},
        "name-number": {"inputs": [tensor(name=1)]},
        "name-null": {"inputs": [tensor(name=None)]},
        "name-empty": {"inputs": [tensor(name="")]},
        "name-long": {"inputs": [tensor(name="x" * 2**16)]},
        "name-nul": {"inputs": [tensor(name="x\0")]},
        "name-rtl": {"inputs": [tensor(name="\u202ex")]},
        "name-path": {"inputs": [tensor(name="../../etc/passwd")]},
        "name-format": {"inputs": [tensor(name="{0.__class__} %s %n ${jndi:ldap://x}")]},
        "a-thousand-inputs": {"inputs": [tensor(name=str(n)) for n in range(1000)]},
    }
    for name, document in documents.items():
        yield Body(f"document/{name}", _json(document))


def _odd_tensors() -> Iterator[Body]:
    tensors: dict[str, object] = {
        "extra-key": tensor(extra=1),
        "no-datatype": tensor(datatype=...),
        "datatype-null": tensor(datatype=None),
        "datatype-lower": tensor(datatype="fp32"),
        "datatype-other": tensor(datatype="FP64"),
        "datatype-unknown": tensor(datatype="BF16"),
        "datatype-list": tensor(datatype=["FP32"]),
        "datatype-long": tensor(datatype="F" * 2**16),
        "no-shape": tensor(shape=...),
        "shape-null": tensor(shape=None),
        "shape-string": tensor(shape="1,3"),
        "shape-number": tensor(shape=3),
        "shape-float": tensor(shape=[1.0, 3.0]),
        "shape-true": tensor(shape=[True, 3]),
        "shape-string-size": tensor(shape=["1", 3]),
        "shape-negative": tensor(shape=[-1, 3]),
        "shape-negative-pair": tensor(shape=[-1, -3]),
        "shape-int32": tensor(shape=[2**31, 3]),
        "shape-int63": tensor(shape=[2**63, 3]),
        "shape-int64": tensor(shape=[2**64, 3]),
        "shape-huge": tensor(shape=[10**400, 3]),
        "shape-overflow": tensor(shape=[2**31 - 1, 2**31 - 1]),
        "shape-wraps-to-three": tensor(shape=[2**30, 2**31 - 1]),
        "shape-empty": tensor(shape=[]),
        "shape-too-short": tensor(shape=[3]),
        "shape-too-long": tensor(shape=[1, 1, 3]),
        "shape-a-million": tensor(shape=[1] * 10**6),
        "shape-other-columns": tensor(shape=[1, 4], data=[1, 2, 3, 4]),
        "shape-more-rows": tensor(shape=[2, 3]),
        "shape-zero-columns": tensor(shape=[1, 0], data=[]),
        "shape-a-billion-empty": tensor(shape=[2**31 - 1, 3], data=[]),
        "no-data": tensor(data=...),
        "data-null": tensor(data=None),
        "data-string": tensor(data="1,2,3"),
        "data-object": tensor(data={"0": 1}),
        "data-number": tensor(data=1),
        "data-too-few": tensor(data=[1, 2]),
        "data-too-many": tensor(data=[1, 2, 3, 4]),
        "data-ragged": tensor(shape=[2, 3], data=[[1, 2, 3], [4, 5]]),
        "data-half-nested": tensor(data=[[1, 2, 3], 4]),
        "data-transposed": tensor(shape=[2, 3], data=[[1, 2], [3, 4], [5, 6]]),
        "data-too-deep": tensor(data=[[[1, 2, 3]]]),
        "data-strings": tensor(data=["1", "2", "3"]),
        "data-string-among": tensor(data=[1, 2, "3"]),
        "data-true-among": tensor(data=[1, 2, True]),
        "data-null-among": tensor(data=[1, None, 3]),
        "data-object-among": tensor(data=[1, {}, 3]),
        "data-empty-lists": tensor(data=[[], [], []]),
        "data-a-million-lists": tensor(data=[[]] * 10**6),
        "data-and-packed": tensor(parameters={"binary_data_size": 12}),
        "parameters-null-size": tensor(data=..., parameters={"binary_data_size": None}),
    }
    for name, sent in tensors.items():
        yield Body(f"tensor/{name}", _request(sent))


def _odd_numbers() -> Iterator[Body]:
    numbers = {
        "1e400": b"1e400",
        "minus-1e400": b"-1e400",
        "a-thousand-digits": b"9" * 1000,
        "ten-to-39": b"1" + b"0" * 39,
        "too-large-for-fp32": b"3.5e38",
        "two-points": b"1.2.3",
        "no-exponent": b"1e",
        "minus": b"-",
        "thousands": b"1_000",
    }
    for name, number in numbers.items():
        yield Body(
            f"number/{name}",
            b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,'
            + number
            + b"]}]}",
        )


def _odd_outputs() -> Iterator[Body]:
    outputs: dict[str, object] = {
        "number": 7,
        "object": {"name": "y"},
        "string": "y",
        "of-numbers": [7],
        "of-null": [None],
        "of-lists": [[]],
        "no-name": [{}],
        "unknown": [{"name": "z"}],
        "twice": [{"name": "y"}, {"name": "y"}],
        "extra-key": [{"name": "y", "data": []}],
        "parameters-list": [{"name": "y", "parameters": []}],
        "binary-string": [{"name": "y", "parameters": {"binary_data": "true"}}],
        "binary-number": [{"name": "y", "parameters": {"binary_data": 1}}],
        "classes-negative": [{"name": "y", "parameters": {"classification": -1}}],
        "classes-float": [{"name": "y", "parameters": {"classification": 1.5}}],
        "classes-true": [{"name": "y", "parameters": {"classification": True}}],
        "a-hundred-thousand": [{"name": "y"}] * 100_000,
    }
    for name, wanted in outputs.items():
        yield Body(f"outputs/{name}", _request(tensor(), outputs=wanted))


def _odd_parameters() -> Iterator[Body]:
    parameters: dict[str, object] = {
        "list": [],
        "string": "timeout=1",
        "number": 1,
        "nested": {"a": {"b": 1}},
        "list-value": {"a": [1]},
        "null-value": {"a": None},
        "timeout-string": {"timeout": "1"},
        "timeout-negative": {"timeout": -1},
        "timeout-float": {"timeout": 1.5},
        "timeout-true": {"timeout": True},
        "binary-string": {"binary_data_output": "yes"},
        "binary-number": {"binary_data_output": 1},
    }
    for name, sent in parameters.items():
        yield Body(f"parameters/{name}", _request(tensor(), parameters=sent))
    sizes: tuple[object, ...] = ("12", -12, 1.5, True, 2**63, 2**64, 11, 13, 0)
    for size in sizes:
        yield Body(
            f"parameters/size-{size}",
            _request(tensor(data=..., parameters={"binary_data_size": size})),
        )


def _odd_frames() -> Iterator[Body]:
    """Packed requests whose header, sizes and bytes do not agree."""
    packed = struct.pack("<3f", 1, 2, 3)

    def framed(size: object, content: bytes, json_bytes: object = None, **more: object) -> Body:
        head = _request(tensor(data=..., parameters={"binary_data_size": size}, **more))
        told = len(head) if json_bytes is None else json_bytes
        return Body("", head + content, {"Inference-Header-Content-Length": str(told)})

    frames = {
        "short": framed(12, packed[:-1]),
        "long": framed(12, packed + b"\0"),
        "size-too-small": framed(8, packed),
        "size-too-large": framed(16, packed),
        "size-huge": framed(2**31, packed),
        "size-negative": framed(-12, packed),
        "shape-disagrees": framed(12, packed, shape=[2, 3]),
        "datatype-disagrees": framed(12, packed, datatype="FP64"),
        "nothing-packed": framed(12, b""),
        "header-too-large": framed(12, packed, 10**6),
        "header-too-small": framed(12, packed, 10),
        "header-negative": framed(12, packed, -1),
        "header-float": framed(12, packed, "1.5"),
        "header-hex": framed(12, packed, "0x10"),
        "header-empty": framed(12, packed, ""),
        "header-99999999999": framed(12, packed, 99999999999),
        "header-10-to-30": framed(12, packed, 10**30),
        "header-words": framed(12, packed, "all of it"),
        "raw-short": framed(12, packed, 0)._replace(content=packed[:-1]),
        "raw-long": framed(12, packed, 0)._replace(content=packed + packed),
        "raw-nothing": framed(12, packed, 0)._replace(content=b""),
    }
    for name, body in frames.items():
        yield body._replace(name=f"frame/{name}")


def _odd_encodings() -> Iterator[Body]:
    good = _request(tensor())
    bomb = gzip.compress(b" " * 2**26)
    encodings = {
        "gzip-that-is-not": ("gzip", good),
        "gzip-cut-off": ("gzip", gzip.compress(good)[:-4]),
        "gzip-and-more": ("gzip", gzip.compress(good) + b"more"),
        "gzip-twice": ("gzip", gzip.compress(gzip.compress(good))),
        "gzip-nothing": ("gzip", b""),
        "gzip-wrong-checksum": ("gzip", gzip.compress(good)[:-8] + b"\0" * 8),
        "gzip-bomb": ("gzip", bomb),
        "deflate-that-is-not": ("deflate", good),
        "deflate-raw": ("deflate", zlib.compress(good)[2:-4]),
        "deflate-cut-off": ("deflate", zlib.compress(good)[:-2]),
        "brotli": ("br", good),
        "zstd": ("zstd", good),
        "unknown": ("rot13", good),
        "two-encodings": ("gzip, deflate", gzip.compress(good)),
        "chunked-as-encoding": ("chunked", good),
    }
    for name, (encoding, content) in encodings.items():
        yield Body(f"encoding/{name}", content, {"Content-Encoding": encoding})
