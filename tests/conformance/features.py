"""The rows of the table: what a client may want of a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "live": "the server is live",
        "ready": "the server is ready",
        "model_ready": "a model is ready",
        "model_ready_version": "a version is ready",
        "model_ready_alias": "`stable` or `candidate` is ready",
        "model_ready_unknown": "an unknown model or version is not",
        "server_metadata": "metadata of the server, with its extensions",
        "model_metadata": "metadata of a model",
        "model_metadata_version": "metadata of a version",
        "infer_json": "inference with JSON",
        "infer_binary": "inference with binary tensors",
        "infer_mixed": "JSON and binary tensors in one request, and in one answer",
        "raw_binary": "a body that is nothing but one tensor",
        "default_outputs": "no output named: all of them, the client's own way",
        "requested_outputs": "some outputs named: just those",
        "versioned": "a version by its number",
        "alias": "a version by its role, `stable` or `candidate`",
        "id": "the request's id comes back",
        "parameters": "parameters of the request, ours or not",
        "datatypes": "BOOL to FP64 at their extremes, as bytes",
        "datatypes_json": "BOOL to FP64 at their extremes, as JSON",
        "half": "FP16",
        "bytes": "strings, as bytes",
        "bytes_json": "strings, as JSON",
        "bytes_not_text": "strings that are not UTF-8 are refused",
        "typed_contents": "BOOL to FP64 in typed contents",
        "typed_bytes": "strings in typed contents",
        "dynamic": "all axes vary",
        "zero_rows": "a batch of no rows",
        "large": "8 MiB there and back",
        "concurrent": "80 requests at a time",
        "sequence": "sequences are refused",
        "classification": "the best classes of a score",
        "timeout": "the parameter `timeout`, in µs, is kept",
        "client_timeout": "the client gives up; the gateway does not mind",
        "gzip": "gzip, there and back",
        "deflate": "deflate, there and back",
        "uncompressed": "who accepts no encoding gets none",
        "trailing_slash": "a slash at the end",
        "wrong_shape": "a wrong shape: the client's own error, our sentence",
        "wrong_datatype": "a wrong datatype: the same",
        "wrong_name": "a wrong input: the same",
        "unknown_model": "an unknown model: the same",
        "unknown_version": "an unknown version: the same",
        "unknown_method": "an unknown method: the same",
        "repository_index": "the index of the repository",
        "repository_closed": "load and unload are refused unless allowed",
        "repository_control": "load and unload, once allowed",
        "statistics": "statistics of a model, and of all",
        "configuration": "a model's configuration",
        "stream": "streams are refused",
        "health_service": "`grpc.health.v1`",
        "health_watch": "`grpc.health.v1`, watched",
        "reflection": "reflection",
    }
)
"""Every row: a feature and what it means."""

ONLY_HTTP = (
    "infer_json",
    "infer_mixed",
    "datatypes_json",
    "bytes_json",
    "raw_binary",
    "uncompressed",
    "trailing_slash",
)
"""What gRPC does not know."""

ONLY_GRPC = ("typed_contents", "typed_bytes", "stream")
"""What HTTP does not know."""

STANDARD_GRPC = ("health_service", "health_watch", "reflection", "unknown_method")
"""What every gRPC server should offer, whatever its service."""

VERSIONS = (
    "model_ready_version",
    "model_ready_alias",
    "model_metadata_version",
    "versioned",
    "alias",
    "unknown_version",
)
"""What needs a way to name a version."""

EXTENSIONS = (
    "repository_index",
    "repository_closed",
    "repository_control",
    "statistics",
    "configuration",
)
"""What Triton added to the protocol."""
