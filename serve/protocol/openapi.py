"""The OpenAPI document of the inference port over HTTP, made from the table of its paths."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version as package_version
from typing import Any

from monitors.contributions.wish import (
    BUDGET_MAX_S,
    BUDGET_S,
    SAMPLES,
    SAMPLES_MAX,
    SAMPLES_MIN,
    SEED_MAX,
)
from registry.routing import ALIASES
from registry.signature import Datatype
from serve.protocol.feedback import GROUPS, LABELS, MESSAGES_MAX
from serve.protocol.paths import AFTERWARDS, POSTED, Ask

Schema = dict[str, Any]

_OF_VERSION = frozenset(
    {Ask.MODEL, Ask.MODEL_READY, Ask.INFER, Ask.EXPLAIN, Ask.CONFIG, Ask.STATISTICS}
)
"""What can be asked of one version too."""
_OPEN = frozenset({Ask.SERVER, Ask.LIVE, Ask.READY, Ask.OPENAPI})
_ABOUT_ROWS = frozenset({Ask.INFER, Ask.EXPLAIN})
_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_ANY: Schema = {"type": "object"}
_SHAPE: Schema = {"type": "array", "items": {"type": "integer"}}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object of these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


_SCALAR: Schema = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
_PARAMETERS: Schema = {"type": "object", "additionalProperties": _SCALAR}
_DATATYPE: Schema = {"type": "string", "enum": [datatype.value for datatype in Datatype]}
_SIZES: Schema = _list({"type": "integer", "minimum": 0, "maximum": 2**31 - 1})
_DATA: Schema = {"type": "array", "description": "The elements, flat or nested as the shape says."}

_SCHEMAS: Mapping[str, Schema] = {
    "Parameters": {
        **_PARAMETERS,
        "properties": {
            "timeout": {**_WHOLE, "description": "Microseconds that the client waits; 0 for none."},
            "binary_data_output": {**_FLAG, "description": "Whether outputs come packed."},
        },
    },
    "Input": _object(
        {"name": _STRING, "shape": _SIZES, "datatype": _DATATYPE},
        {"data": _DATA, "parameters": _PARAMETERS},
    ),
    "WantedOutput": _object({"name": _STRING}, {"parameters": _PARAMETERS}),
    "InferRequest": _object(
        {"inputs": _list(_ref("Input"), 1)},
        {
            "id": _STRING,
            "model_name": _STRING,
            "parameters": _ref("Parameters"),
            "outputs": _list(_ref("WantedOutput")),
        },
    ),
    "ExplainParameters": {
        **_PARAMETERS,
        "properties": {
            "samples": {
                **_WHOLE,
                "minimum": SAMPLES_MIN,
                "maximum": SAMPLES_MAX,
                "default": SAMPLES,
                "description": "Pairs of walks from rows of the reference to each row.",
            },
            "seed": {
                **_WHOLE,
                "maximum": SEED_MAX,
                "default": 0,
                "description": "The same seed draws the same rows and orders.",
            },
            "column": {
                **_WHOLE,
                "description": "Of a score of several columns, the one that is explained; else "
                "the largest of the row.",
            },
            "budget_ms": {
                **_NUMBER,
                "minimum": 0,
                "maximum": BUDGET_MAX_S * 1000,
                "default": BUDGET_S * 1000,
                "description": "How long the model may run for each row; fewer samples then.",
            },
            "timeout": {**_WHOLE, "description": "Microseconds that the client waits; 0 for none."},
        },
    },
    "ExplainRequest": _object(
        {"inputs": _list(_ref("Input"), 1)},
        {
            "id": _STRING,
            "model_name": _STRING,
            "parameters": _ref("ExplainParameters"),
            "outputs": _list(_ref("WantedOutput")),
        },
    ),
    "Contribution": _object({"feature": _STRING, "value": _NUMBER, "standard_error": _NUMBER}),
    "RowExplained": _object(
        {
            "prediction": _NUMBER,
            "base_value": _NUMBER,
            "base_error": _NUMBER,
            "contributions": _list(_ref("Contribution")),
            "samples": _WHOLE,
            "model_runs": _WHOLE,
        },
        {"column": _WHOLE},
    ),
    "ExplainResponse": _object(
        {
            "model_name": _STRING,
            "model_version": _STRING,
            "explanations": _list(_ref("RowExplained")),
            "held": _list(_object({"feature": _STRING, "reason": _STRING})),
            "seed": _WHOLE,
        },
        {"id": _STRING},
    ),
    "Output": _object(
        {"name": _STRING, "shape": _SHAPE, "datatype": _DATATYPE},
        {"data": _DATA, "parameters": _PARAMETERS},
    ),
    "InferResponse": _object(
        {"model_name": _STRING, "model_version": _STRING, "outputs": _list(_ref("Output"))},
        {"id": _STRING, "parameters": _PARAMETERS},
    ),
    "Label": {
        **_object(
            {},
            {
                "prediction_id": {
                    "type": "string",
                    "pattern": "^[0-9a-fA-F]{32}$",
                    "description": "What the answer bore as `Weir-Prediction-Id`.",
                },
                "key": {**_STRING, "description": "Or the `id` that the caller gave its request."},
                "row": {**_WHOLE, "description": "Which row of its request; 0 unless said."},
                "label": {**_SCALAR, "description": "What was true, as the card declares it."},
                "at": {
                    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
                    "description": "When it became known, as ISO 8601 or seconds since 1970; "
                    "when it comes, unless said.",
                },
                "groups": {"type": "object", "additionalProperties": _STRING},
                "values": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        ),
        "description": "The truth about one row, or its group attributes.",
    },
    "Receipt": _object(
        {
            "accepted": _WHOLE,
            "joined": _WHOLE,
            "waiting": _WHOLE,
            "repeated": _WHOLE,
            "corrected": _WHOLE,
            "refused": _list(_object({"index": _WHOLE, "reason": _STRING})),
            "refused_count": _WHOLE,
        }
    ),
    "Tensor": _object({"name": _STRING, "datatype": _DATATYPE, "shape": _SHAPE}),
    "Error": _object({"error": _STRING, "code": _STRING, "request_id": _STRING}),
}

_ANSWERS: Mapping[Ask, Schema] = {
    Ask.SERVER: _object({"name": _STRING, "version": _STRING, "extensions": _list(_STRING)}),
    Ask.LIVE: _object({"live": _FLAG}),
    Ask.READY: _object({"ready": _FLAG, "live": _FLAG}),
    Ask.MODELS: _object({"models": _list(_STRING)}),
    Ask.MODEL: _object(
        {
            "name": _STRING,
            "versions": _list(_STRING),
            "platform": _STRING,
            "inputs": _list(_ref("Tensor")),
            "outputs": _list(_ref("Tensor")),
        }
    ),
    Ask.MODEL_READY: _object({"name": _STRING, "ready": _FLAG}),
    Ask.INFER: _ref("InferResponse"),
    Ask.EXPLAIN: _ref("ExplainResponse"),
    Ask.CONFIG: _ANY,
    Ask.STATISTICS: _object({"model_stats": _list(_ANY)}),
    Ask.ALL_STATISTICS: _object({"model_stats": _list(_ANY)}),
    Ask.INDEX: _list(
        _object({"name": _STRING, "version": _STRING, "state": _STRING, "reason": _STRING})
    ),
    Ask.LOAD: _object({"model_name": _STRING, "isLoaded": _FLAG}),
    Ask.UNLOAD: _object({"model_name": _STRING, "isUnloaded": _FLAG}),
    Ask.FEEDBACK: _ref("Receipt"),
    Ask.GROUPS: _ref("Receipt"),
    Ask.OPENAPI: _ANY,
}
_SUMMARIES: Mapping[Ask, str] = {
    Ask.SERVER: "What the server is",
    Ask.LIVE: "Whether it lives",
    Ask.READY: "Whether it is ready",
    Ask.MODELS: "The models that are served",
    Ask.MODEL: "What a model takes and gives",
    Ask.MODEL_READY: "Whether a model is ready",
    Ask.INFER: "Ask a model",
    Ask.EXPLAIN: "What each feature adds to the score",
    Ask.CONFIG: "A model's configuration, in Triton's terms",
    Ask.STATISTICS: "What a model has done",
    Ask.ALL_STATISTICS: "What all models have done",
    Ask.INDEX: "All registered versions",
    Ask.LOAD: "Have a model served",
    Ask.UNLOAD: "Have a model no longer served",
    Ask.FEEDBACK: "Say what was true",
    Ask.GROUPS: "Say who predictions were about, for audits",
    Ask.OPENAPI: "This document",
}
_PACKED: Schema = {
    "type": "string",
    "format": "binary",
    "description": "JSON, then packed tensors, as the binary tensor data extension has it.",
}
_HEADERS: tuple[Schema, ...] = (
    {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0, "maximum": 10**12 - 1},
        "description": "How many bytes of the body are JSON; 0 for one packed tensor alone.",
    },
    {
        "name": "Weir-Key",
        "in": "header",
        "schema": _STRING,
        "description": "The unit that always meets the same arm.",
    },
    {
        "name": "Weir-Timeout-Ms",
        "in": "header",
        "schema": {"type": "number", "exclusiveMinimum": 0},
        "description": "How long the client waits; shortens the deadline, never puts it off.",
    },
)
_REPOSITORY_BODY = _object({}, {"parameters": _object({}, {"unload_dependents": {}})})
_INDEX_BODY = _object({}, {"ready": _FLAG})


@cache
def document() -> Schema:
    """Give the document; the same object every time."""
    paths: dict[str, Schema] = {}
    for ask in Ask:
        paths[ask.value] = _path(ask, ask.value)
        if ask in _OF_VERSION:
            path = ask.value.replace("{model}", "{model}/versions/{version}")
            paths[path] = _path(ask, path)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Weir inference",
            "version": package_version("weir-gateway"),
            "description": "The Open Inference Protocol v2 with its binary tensor data, "
            "classification, model configuration, model repository and statistics extensions, and "
            "explanations and the way in for labels, which are ours.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(_SCHEMAS),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(ask: Ask, path: str) -> Schema:
    return {"post" if ask in POSTED else "get": _operation(ask, path)}


def _operation(ask: Ask, path: str) -> Schema:
    versioned = "{version}" in path
    operation: Schema = {
        "operationId": ask.name.lower() + ("_of_version" if versioned else ""),
        "summary": _SUMMARIES[ask],
        "parameters": [*_path_parameters(path), *(_HEADERS if ask in _ABOUT_ROWS else ())],
        "responses": {"200": _answer(ask), "default": _error()},
        "security": [] if ask in _OPEN else [{"key": []}, {}],
    }
    if ask in (Ask.READY, Ask.MODEL_READY):
        content = {"schema": {"anyOf": [_ANSWERS[ask], _ref("Error")]}}
        operation["responses"]["503"] = {
            "description": "Not ready.",
            "content": {"application/json": content},
        }
    if ask in POSTED:
        operation["requestBody"] = _body(ask)
    return operation


def _path_parameters(path: str) -> list[Schema]:
    schemas: Mapping[str, Schema] = {
        "model": {"type": "string", "minLength": 1},
        "version": {"anyOf": [{"type": "integer", "minimum": 0}, {"enum": list(ALIASES)}]},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in schemas.items()
        if f"{{{name}}}" in path
    ]


def _body(ask: Ask) -> Schema:
    if ask in _ABOUT_ROWS:
        request = "InferRequest" if ask is Ask.INFER else "ExplainRequest"
        content: Schema = {
            "application/json": {"schema": _ref(request)},
            "application/octet-stream": {"schema": _PACKED},
        }
        return {"required": True, "content": content}
    if ask in AFTERWARDS:
        return _labels(GROUPS if ask is Ask.GROUPS else LABELS)
    schema = _INDEX_BODY if ask is Ask.INDEX else _REPOSITORY_BODY
    return {"required": False, "content": {"application/json": {"schema": schema}}}


def _labels(key: str) -> Schema:
    messages = {**_list(_ref("Label"), 1), "maxItems": MESSAGES_MAX}
    lines = {"type": "string", "description": f"An object a line, {MESSAGES_MAX} at most."}
    content: Schema = {
        "application/json": {"schema": _object({key: messages})},
        "application/x-ndjson": {"schema": lines},
    }
    return {"required": True, "content": content}


def _answer(ask: Ask) -> Schema:
    content: Schema = {"application/json": {"schema": _ANSWERS[ask]}}
    if ask is Ask.INFER:
        content["application/octet-stream"] = {"schema": _PACKED}
    return {"description": _SUMMARIES[ask] + ".", "content": content}


def _error() -> Schema:
    content = {"application/json": {"schema": _ref("Error")}}
    return {"description": "What is wrong, in one sentence.", "content": content}
