"""What the server and its models say of themselves (v2 REST, "Server/Model Metadata")."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as package_version

from registry.records import Version
from registry.signature import TensorSpec

_PLATFORM = "onnxruntime_onnx"


def server() -> dict[str, object]:
    """Describe the server."""
    return {"name": "weir", "version": package_version("weir-gateway"), "extensions": []}


def model(version: Version, numbers: Sequence[int]) -> dict[str, object]:
    """Describe a model by one of its versions; extra inputs are part of what it takes."""
    return {
        "name": version.model,
        "versions": [str(number) for number in numbers],
        "platform": _PLATFORM,
        "inputs": [
            *(_tensor(spec) for spec in version.signature.inputs),
            *(
                {"name": name, "datatype": "BYTES", "shape": [-1]}
                for name in version.card.extra_inputs
            ),
        ],
        "outputs": [_tensor(spec) for spec in version.signature.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype.value, "shape": list(spec.shape)}
