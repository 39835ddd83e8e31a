"""What the gateway says of itself and its models, as plain values for either protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from serve.gateway import Gateway
from serve.protocol import describe
from serve.protocol.describe import Said
from serve.protocol.openapi import document
from serve.protocol.paths import Ask, Endpoint


def tell(
    gateway: Gateway, endpoint: Endpoint, asked: Mapping[str, object], *, batch_max_rows: int
) -> Said:
    """Give what is asked for; errors as the gateway's own when there is no such model or version.

    What is a list over HTTP stands under the name that it has over gRPC.
    """
    if endpoint.ask is Ask.INDEX:
        only = asked.get("ready") is True
        return {"models": describe.index(gateway.registered, gateway.reached(), only=only)}
    if endpoint.ask is Ask.CONFIG:
        served = gateway.model_version(endpoint.model, endpoint.version)
        return describe.config(served.version, batch_max_rows)
    return _TELL[endpoint.ask](gateway, endpoint)


def _model(gateway: Gateway, endpoint: Endpoint) -> Said:
    served = gateway.model_version(endpoint.model, endpoint.version)
    return describe.model(served.version, gateway.versions(endpoint.model))


def _model_ready(gateway: Gateway, endpoint: Endpoint) -> Said:
    served = gateway.model_version(endpoint.model, endpoint.version)
    return {"name": endpoint.model, "ready": served.links.connected}


def _statistics(gateway: Gateway, endpoint: Endpoint) -> Said:
    """Tell of one version, of all versions of a model, or of all models."""
    if endpoint.version is not None:
        told = [gateway.model_version(endpoint.model, endpoint.version)]
    else:
        names = (endpoint.model,) if endpoint.model else gateway.models()
        told = [
            gateway.model_version(name, number)
            for name in names
            for number in gateway.versions(name)
        ]
    return {
        "model_stats": [describe.statistics(served.version, served.statistics()) for served in told]
    }


_Tell = Callable[[Gateway, Endpoint], Said]
_TELL: Mapping[Ask, _Tell] = {
    Ask.SERVER: lambda _gateway, _endpoint: describe.server(),
    Ask.LIVE: lambda _gateway, _endpoint: {"live": True},
    Ask.OPENAPI: lambda _gateway, _endpoint: document(),
    Ask.MODELS: lambda gateway, _endpoint: {"models": list(gateway.models())},
    Ask.MODEL: _model,
    Ask.MODEL_READY: _model_ready,
    Ask.STATISTICS: _statistics,
    Ask.ALL_STATISTICS: _statistics,
}
