"""What the server and its models say of themselves, as both protocols tell it.

v2 REST, "Server Metadata" and "Model Metadata"; the model configuration, statistics and model
repository extensions. Everything is plain values with the protocol's own names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as package_version

from registry.records import Version
from registry.signature import Datatype, TensorSpec

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "statistics",
)
_NS = 1_000_000_000
Said = dict[str, object]


@dataclass(frozen=True, slots=True)
class Durations:
    """How often something took time, and how long in all, in seconds."""

    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one version did since the gateway process that tells it has known it.

    `last_ms` is when it answered last, in milliseconds since 1970, 0 for never. `rows` ran in
    `batches`; `queued` and `ran` count requests, each with the whole time of its batch.
    """

    succeeded: Durations = Durations()
    failed: Durations = Durations()
    queued: Durations = Durations()
    ran: Durations = Durations()
    rows: int = 0
    batches: int = 0
    last_ms: int = 0


@cache
def server() -> Said:
    """Describe the server."""
    return {
        "name": "weir",
        "version": package_version("weir-gateway"),
        "extensions": list(EXTENSIONS),
    }


def model(version: Version, numbers: Sequence[int]) -> Said:
    """Describe a model by one of its versions; extra inputs are part of what it takes."""
    return {
        "name": version.model,
        "versions": [str(number) for number in numbers],
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in _inputs(version)],
        "outputs": [_tensor(spec) for spec in version.signature.outputs],
    }


def config(version: Version, batch_max_rows: int) -> Said:
    """Describe a version in the terms of Triton's model configuration.

    There `dims` leave the rows out where a model takes batches, and a batch waits for nothing.
    """
    batched = version.signature.batched
    said: Said = {
        "name": version.model,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": batch_max_rows if batched else 0,
        "input": [
            {**_configured(spec, batched=batched), "optional": spec.name in _optional(version)}
            for spec in _inputs(version)
        ],
        "output": [_configured(spec, batched=batched) for spec in version.signature.outputs],
    }
    if batched:
        said["dynamic_batching"] = {"max_queue_delay_microseconds": 0}
    return said


def statistics(version: Version, told: Statistics) -> Said:
    """Tell what one version did; nothing is measured of reading requests and writing answers."""
    return {
        "name": version.model,
        "version": str(version.number),
        "last_inference": told.last_ms,
        "inference_count": told.rows,
        "execution_count": told.batches,
        "inference_stats": {
            "success": _duration(told.succeeded),
            "fail": _duration(told.failed),
            "queue": _duration(told.queued),
            "compute_input": _duration(Durations(told.ran.count)),
            "compute_infer": _duration(told.ran),
            "compute_output": _duration(Durations(told.ran.count)),
            "cache_hit": _duration(Durations()),
            "cache_miss": _duration(Durations()),
        },
        "batch_stats": [],
        "memory_usage": [],
    }


def index(
    registered: Mapping[str, Iterable[int]], ready: Mapping[tuple[str, int], bool], *, only: bool
) -> list[Said]:
    """List the registered versions and whether each can answer; `only` those that can.

    `ready` has the versions that are served, and whether they are reached.
    """
    entries: list[Said] = []
    for name, numbers in sorted(registered.items()):
        for number in numbers:
            state, reason = _state(ready.get((name, number)))
            if state == "READY" or not only:
                entries.append(
                    {"name": name, "version": str(number), "state": state, "reason": reason}
                )
    return entries


def _state(reached: bool | None) -> tuple[str, str]:
    if reached is None:
        return "UNAVAILABLE", "no route names it"
    return ("READY", "") if reached else ("LOADING", "its host is not reached yet")


def _inputs(version: Version) -> list[TensorSpec]:
    extra = (
        TensorSpec(name=name, datatype=Datatype.BYTES, shape=(-1,))
        for name in version.card.extra_inputs
    )
    return [*version.signature.inputs, *extra]


def _optional(version: Version) -> frozenset[str]:
    return frozenset(version.card.extra_inputs)


def _tensor(spec: TensorSpec) -> Said:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}


def _configured(spec: TensorSpec, *, batched: bool) -> Said:
    kind = "STRING" if spec.datatype is Datatype.BYTES else spec.datatype.value
    dims = list(spec.shape[1:] if batched else spec.shape)
    return {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": dims or [1]}


def _duration(told: Durations) -> Said:
    return {"count": told.count, "ns": int(told.seconds * _NS)}
