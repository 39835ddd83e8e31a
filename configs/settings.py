"""What can be configured, with its bounds and its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port; 0 asks the system for a free one."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the configuration: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(Section):
    """Where the gateway listens."""

    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    http_port: Port = 8000
    control_port: Port = 8002


class Limits(Section):
    """What one request may cost."""

    body_max_bytes: Annotated[int, Field(ge=1024, le=2**31)] = 64 * 2**20
    deadline_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    drain_s: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0


class Hosts(Section):
    """How version hosts run."""

    gateway_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    threads: Annotated[int, Field(ge=1, le=256)] = 1
    batch_max_rows: Annotated[int, Field(ge=1, le=65536)] = 256


class Verify(Section):
    """What a model may cost while it is checked, in a child process."""

    memory_max_bytes: Annotated[int, Field(ge=2**28, le=2**40)] = 4 * 2**30
    time_max_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 60.0
    model_max_bytes: Annotated[int, Field(ge=1024, le=2**31 - 1)] = 2**30


class Recorder(Section):
    """How much is kept of the traffic."""

    enabled: bool = True
    sample_rows_per_s: Annotated[float, Field(ge=0.0, le=1e6)] = 1000.0
    buffer_max_rows: Annotated[int, Field(ge=16, le=2**20)] = 8192
    flush_s: Annotated[float, Field(ge=0.05, le=60.0)] = 0.5
    blocks_in_flight: Annotated[int, Field(ge=1, le=64)] = 4


class Shadow(Section):
    """How much shadow work may wait."""

    queue_max_rows: Annotated[int, Field(ge=1, le=2**20)] = 2048
    flush_s: Annotated[float, Field(ge=0.001, le=10.0)] = 0.02


class Telemetry(Section):
    """Where signals and spans go besides `/metrics`."""

    otlp_endpoint: str | None = None
    otlp_protocol: Literal["grpc", "http"] = "grpc"
    export_s: Annotated[float, Field(ge=0.1, le=3600.0)] = 5.0
    trace_share: Share = 0.01


class Monitors(Section):
    """The false-alarm budget and the floors below which nobody is paged."""

    alarm_budget: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    minimum_rows: Annotated[int, Field(ge=1, le=10**6)] = 50
    signals_s: Annotated[float, Field(ge=0.1, le=3600.0)] = 2.0


class Settings(Section):
    """The whole configuration of one gateway."""

    data: Path = Path(".weir")
    listen: Listen = Listen()
    limits: Limits = Limits()
    hosts: Hosts = Hosts()
    verify: Verify = Verify()
    recorder: Recorder = Recorder()
    shadow: Shadow = Shadow()
    telemetry: Telemetry = Telemetry()
    monitors: Monitors = Monitors()

    @model_validator(mode="after")
    def _distinct_ports(self) -> Settings:
        ports = (self.listen.http_port, self.listen.control_port)
        if ports[0] == ports[1] != 0:
            message = f"listen.http_port and listen.control_port are both {ports[0]}"
            raise ValueError(message)
        return self
