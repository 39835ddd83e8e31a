"""What can be configured, with its bounds and its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from configs.expression import read
from configs.policy import Policy, over
from configs.section import Section, Share

Port = Annotated[int, Field(ge=0, le=65535)]
"""A TCP port; 0 asks the system for a free one."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""The addresses that only this machine can connect to."""


class Listen(Section):
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    http_port: Port = 8000
    grpc_port: Port = 8001
    control_port: Port = 8002
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_elsewhere: bool = False

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Listen:
        if (self.tls_certificate is None) != (self.tls_key is None):
            message = "TLS needs both tls_certificate and tls_key"
            raise ValueError(message)
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOOPBACK


class Access(Section):
    """Whether callers must show an API key."""

    required: bool = False


class Repository(Section):
    """Whether clients may load and unload models (v2 model repository extension)."""

    control: bool = False


class Limits(Section):
    """What one request, one connection and one model may cost."""

    body_max_bytes: Annotated[int, Field(ge=1024, le=2**31 - 1)] = 64 * 2**20
    bodies_max_bytes: Annotated[int, Field(ge=1024, le=2**40)] = 2**30
    deadline_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    drain_s: Annotated[float, Field(gt=0.0, le=60.0)] = 2.0
    connections_max: Annotated[int, Field(ge=1, le=100_000)] = 4096
    slow_s: Annotated[float, Field(gt=0.0, le=600.0)] = 5.0
    slow_bytes_per_s: Annotated[int, Field(ge=1, le=2**30)] = 16 * 2**10
    in_flight_max: Annotated[int, Field(ge=1, le=100_000)] = 1024
    wait_target_s: Annotated[float, Field(gt=0.0, le=60.0)] = 0.1
    compress_min_bytes: Annotated[int, Field(ge=0, le=2**31 - 1)] = 16 * 2**10


class Hosts(Section):
    """How version hosts run."""

    gateway_replicas: Annotated[int, Field(ge=1, le=64)] = 1
    replicas: Annotated[int, Field(ge=1, le=64)] = 1
    replicas_max: Annotated[int, Field(ge=1, le=64)] | None = None
    scale_down_s: Annotated[float, Field(ge=1.0, le=86400.0)] = 60.0
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    batch_max_rows: Annotated[int, Field(ge=1, le=65536)] = 256
    run_memory_max_bytes: Annotated[int, Field(ge=2**28, le=2**40)] = 4 * 2**30
    providers: Annotated[tuple[Literal["cpu", "cuda"], ...], Field(min_length=1)] = ("cpu",)
    cuda_device: Annotated[int, Field(ge=0, le=1023)] = 0
    shared: Annotated[int, Field(ge=0, le=64)] = 1
    shared_in: Literal["processes", "gateway"] = "processes"
    shared_max_bytes: Annotated[int, Field(ge=0, le=2**31 - 1)] = 32 * 2**20
    memory_max_bytes: Annotated[int, Field(ge=2**20, le=2**40)] = 2**30
    load_wait_s: Annotated[float, Field(gt=0.0, le=600.0)] = 5.0

    @property
    def inside(self) -> bool:
        """Whether versions that share a host have that of the gateway's own processes."""
        return self.shared_in == "gateway"

    @property
    def most_replicas(self) -> int:
        """How many processes may run one version."""
        return self.replicas if self.replicas_max is None else self.replicas_max

    @property
    def scales(self) -> bool:
        """Whether the number of processes that run a version follows its load."""
        return self.most_replicas > self.replicas

    @model_validator(mode="after")
    def _one_place_to_share(self) -> Hosts:
        if self.inside and self.shared != 1:
            message = (
                f"hosts.shared {self.shared} is a number of processes to share, of which "
                "hosts.shared_in: gateway has none: leave hosts.shared out"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _at_least_as_many(self) -> Hosts:
        if self.most_replicas < self.replicas:
            message = (
                f"hosts.replicas_max {self.replicas_max} is less than hosts.replicas "
                f"{self.replicas}: set it to {self.replicas} at least, or leave it out"
            )
            raise ValueError(message)
        return self


class Links(Section):
    """What gateway replicas and version hosts on other nodes show each other.

    All three files or none; without them, a certificate is made for as long as the gateway runs.
    """

    tls_authority: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _all_or_none(self) -> Links:
        files = (self.tls_authority, self.tls_certificate, self.tls_key)
        if len({file is None for file in files}) > 1:
            message = "links need all of tls_authority, tls_certificate and tls_key, or none"
            raise ValueError(message)
        return self

    @property
    def given(self) -> bool:
        """Whether there is a certificate that is not to be made."""
        return self.tls_certificate is not None


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
    queue_max_bytes: Annotated[int, Field(ge=1, le=2**40)] = 64 * 2**20
    flush_s: Annotated[float, Field(ge=0.001, le=10.0)] = 0.02


class Telemetry(Section):
    """Where signals and spans go besides `/metrics`."""

    otlp_endpoint: str | None = None
    otlp_protocol: Literal["grpc", "http"] = "grpc"
    export_s: Annotated[float, Field(ge=0.1, le=3600.0)] = 15.0
    trace_share: Share = 0.01


def _readable(expression: str) -> str:
    read(expression)
    return expression


ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
KpiName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Kpi(Section):
    """What a prediction is worth: an expression over what is known of it, and its unit.

    The mean is asked to be between `minimum` and `maximum`, of which either may be left out.
    """

    expression: Annotated[str, AfterValidator(_readable)]
    unit: Annotated[str, Field(max_length=32)] = ""
    minimum: Finite | None = None
    maximum: Finite | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Kpi:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            message = f"minimum {self.minimum} is above maximum {self.maximum}"
            raise ValueError(message)
        return self


class Explanations(Section):
    """How many models each gateway process keeps ready to be explained, and how long."""

    processes: Annotated[int, Field(ge=0, le=64)] = 2
    keep_s: Annotated[float, Field(ge=1.0, le=86400.0)] = 300.0


class AlarmMode(StrEnum):
    """What is promised about false alarms: none, most likely, ever; or not too often."""

    MARTINGALE = "martingale"
    DETECTOR = "detector"


class Monitors(Section):
    """What is promised about false alarms, how much data it takes, and what it may all cost.

    `alarm_budget` is the chance of any false alarm over the life of a version, in the mode
    `martingale`; `false_alarm_days` the mean time between two, in the mode `detector`. Of its first
    `learn_rows` live rows a version without a reference makes one; 0 for none. `why_rows` are kept
    in memory of each window of time, to explain alarms; 0 for none. What is kept of a version's
    traffic is dropped after `time_to_live_days`. `detectors` names further ones, each as
    `module:NAME`. `kpis` are the figures of business value of each model, by their names.
    """

    alarm_mode: AlarmMode = AlarmMode.MARTINGALE
    alarm_budget: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    false_alarm_days: Annotated[float, Field(ge=1.0, le=36500.0)] = 365.0
    minimum_rows: Annotated[int, Field(ge=1, le=10**6)] = 50
    signals_s: Annotated[float, Field(ge=0.1, le=3600.0)] = 2.0
    fold_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    keep_s: Annotated[float, Field(ge=0.1, le=3600.0)] = 10.0
    learn_rows: Annotated[int, Field(ge=0, le=100_000)] = 2000
    why_rows: Annotated[int, Field(ge=0, le=4096)] = 256
    time_to_live_days: Annotated[float, Field(ge=1.0, le=36500.0)] = 90.0
    detectors: tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...] = ()
    kpis: Mapping[ModelName, Annotated[Mapping[KpiName, Kpi], Field(max_length=32)]] = {}

    def of_model(self, model: str) -> Monitors:
        """The same settings, of whose KPIs only those of one model are left."""
        kpis = {name: own for name, own in self.kpis.items() if name == model}
        return self.model_copy(update={"kpis": kpis}) if self.kpis else self


class Training(Section):
    """Which models' features are kept, with their labels, to train the next version on.

    A row waits at most `wait_days` for its label, and at most `wait_max_rows` wait. Labelled rows
    of a version and day become a file when there are `rows_per_file`, or when one has waited
    `write_s` since its label came.
    """

    models: tuple[ModelName, ...] = ()
    wait_days: Annotated[float, Field(gt=0.0, le=3650.0)] = 90.0
    wait_max_rows: Annotated[int, Field(ge=1, le=10**8)] = 1_000_000
    rows_per_file: Annotated[int, Field(ge=1, le=10**6)] = 10_000
    write_s: Annotated[float, Field(ge=1.0, le=7 * 86400.0)] = 86400.0
    retention_days: Annotated[float, Field(ge=1.0, le=36500.0)] = 365.0


class Labels(Section):
    """How long predictions wait for their labels, and how many of them.

    A prediction waits for `time_to_live_days`, and at least until a day after its label is expected
    to count. Of each model, the oldest beyond `rows_max` are dropped.
    """

    time_to_live_days: Annotated[float, Field(ge=1.0, le=3650.0)] = 30.0
    rows_max: Annotated[int, Field(ge=1000, le=10**9)] = 10_000_000


def _check_webhook(section: str, address: str | None, signed: bool) -> None:
    """Refuse an address that cannot be asked, and one whose receiver could not tell who asks."""
    if address is None:
        return
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # Not repeated: an address may hold a secret.
        message = f"{section}.webhook must be an address such as https://example.org/{section}"
        raise ValueError(message)
    if not signed:
        message = (
            f"{section}.webhook needs {section}.webhook_secret_file, so that its receiver can tell "
            "that what it is told comes from here"
        )
        raise ValueError(message)


class Alarms(Section):
    """Who is told of alarms, and in which form; nobody, while there is no webhook."""

    webhook: str | None = None
    webhook_secret_file: Path | None = None
    format: Literal["weir", "alertmanager"] = "weir"

    @model_validator(mode="after")
    def _webhook_that_can_be_asked(self) -> Alarms:
        signed = self.format != "weir" or self.webhook_secret_file is not None
        _check_webhook("alarms", self.webhook, signed)
        return self


class Rollouts(Section):
    """What a rollout must show unless its start says otherwise, and who is told of rollouts.

    What the policy of a model in `models` leaves out is as in `default`.
    """

    default: Policy = Policy()
    models: Mapping[ModelName, Policy] = {}
    webhook: str | None = None
    webhook_secret_file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _models_over_default(cls, values: object) -> object:
        """Complete the policies of models: each by itself could not say what was left out."""
        if not isinstance(values, Mapping):
            return values
        default, models = values.get("default") or {}, values.get("models") or {}
        if not isinstance(default, Mapping) or not isinstance(models, Mapping):
            return values
        complete = {
            name: over(default, own) if isinstance(own, Mapping) else own
            for name, own in models.items()
        }
        return {**values, "default": default, "models": complete}

    @model_validator(mode="after")
    def _webhook_that_can_be_asked(self) -> Rollouts:
        _check_webhook("rollouts", self.webhook, self.webhook_secret_file is not None)
        return self

    def policy(self, model: str) -> Policy:
        """The policy of a model whose start names none."""
        return self.models.get(model, self.default)


class Settings(Section):
    """The whole configuration of one gateway."""

    data: Path = Path(".weir")
    listen: Listen = Listen()
    access: Access = Access()
    repository: Repository = Repository()
    limits: Limits = Limits()
    hosts: Hosts = Hosts()
    links: Links = Links()
    verify: Verify = Verify()
    recorder: Recorder = Recorder()
    shadow: Shadow = Shadow()
    telemetry: Telemetry = Telemetry()
    monitors: Monitors = Monitors()
    training_log: Training = Training()
    labels: Labels = Labels()
    alarms: Alarms = Alarms()
    rollouts: Rollouts = Rollouts()
    explanations: Explanations = Explanations()

    @model_validator(mode="after")
    def _distinct_ports(self) -> Settings:
        ports = {
            name: getattr(self.listen, name) for name in ("http_port", "grpc_port", "control_port")
        }
        for (one, port), (other, same) in combinations(ports.items(), 2):
            if port == same != 0:
                message = f"listen.{one} and listen.{other} are both {port}"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _nobody_unknown_from_elsewhere(self) -> Settings:
        listen = self.listen
        if listen.loopback:
            return self
        if not self.access.required:
            message = (
                f"listen.host {listen.host} can be reached from other machines, which needs "
                "access.required: true (make a first key with `weir keys create`)"
            )
            raise ValueError(message)
        if listen.tls_certificate is None and not listen.tls_elsewhere:
            message = (
                f"listen.host {listen.host} can be reached from other machines, so keys need "
                "listen.tls_certificate and listen.tls_key; if a proxy in front ends TLS, say "
                "listen.tls_elsewhere: true"
            )
            raise ValueError(message)
        return self
