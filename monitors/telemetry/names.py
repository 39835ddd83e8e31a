"""The one registry of signal names: metrics, attributes and spans.

Names follow the OpenTelemetry semantic conventions: dots between words, no unit in the name,
seconds for durations, `{thing}` for counts. OTLP data, the Prometheus page, the dashboard, the
alert rules and `docs/signals.md` are all made from `METRICS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric's numbers behave (OpenTelemetry instrument kinds)."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Across(StrEnum):
    """How the values that several sources report for one series become one value."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Attribute:
    """The name of an attribute, what it says, and whether its values are whole numbers."""

    name: str
    description: str
    integer: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, kind, unit (UCUM) and the attributes of its series, in order.

    `bounds` are the upper bounds of a histogram's buckets, each inclusive, in ascending order;
    one more bucket lies above them. `across` matters for gauges and up-down counters only.
    """

    name: str
    kind: Kind
    unit: str
    attributes: tuple[str, ...]
    description: str
    bounds: tuple[float, ...] = ()
    across: Across = Across.SUM


MODEL = "weir.model.name"
VERSION = "weir.model.version"
ARM = "weir.arm"
PREDICTION_ID = "weir.prediction.id"
ERROR_TYPE = "error.type"
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS = "rpc.response.status_code"
REASON = "weir.reason"
OUTCOME = "weir.outcome"
MONITOR = "weir.monitor.name"
FAMILY = "weir.signal.family"
SIGNAL = "weir.signal.name"
SUBJECT = "weir.signal.subject"
STATE = "weir.signal.state"
DISTANCE = "weir.distance.name"
TASK = "weir.task.name"
ROLLOUT_STATE_IS = "weir.rollout.state"
GUARDRAIL = "weir.rollout.guardrail"
ACTION = "weir.rollout.action"

SPAN_VERSION = "weir.version.run"
SPAN_SHADOW = "weir.shadow.run"
EVENT_FALLBACK = "weir.fallback"
"""On a request's span: the version on trial that failed, before the stable one answered."""

ATTRIBUTES: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        Attribute(MODEL, "The name under which the model is registered."),
        Attribute(VERSION, "The number of the version.", integer=True),
        Attribute(ARM, "The part the version plays: stable, baseline, canary, shadow or pinned."),
        Attribute(PREDICTION_ID, "The id of one prediction; on spans only, never on metrics."),
        Attribute(ERROR_TYPE, "The stable code of the error; absent when all went well."),
        Attribute(HTTP_METHOD, "The method of the HTTP request."),
        Attribute(HTTP_ROUTE, "The route's template, with its parameters in braces."),
        Attribute(HTTP_STATUS, "The status of the HTTP answer.", integer=True),
        Attribute(RPC_SYSTEM, "The system of remote calls: grpc."),
        Attribute(RPC_METHOD, "The full name of the method."),
        Attribute(RPC_STATUS, "The status of the call, such as OK or NOT_FOUND."),
        Attribute(REASON, "Why something was dropped or refused."),
        Attribute(OUTCOME, "What became of a shadow request, of a delivery or of a label."),
        Attribute(MONITOR, "The monitor, or the part of one, that reports."),
        Attribute(FAMILY, "The family of signals, such as drift, quality or fairness."),
        Attribute(SIGNAL, "The name of the signal within its family."),
        Attribute(SUBJECT, "What the signal speaks of: a feature, a group, a score or decision."),
        Attribute(STATE, "The verdict: ok, alarm, insufficient data or error."),
        Attribute(DISTANCE, "The familiar distance: psi, jensen_shannon, and so on."),
        Attribute(
            TASK,
            "The task of the gateway's own: follow, rehouse, alarms, deliver, rollouts or tell.",
        ),
        Attribute(ROLLOUT_STATE_IS, "The state of a rollout, such as canary, held or baking."),
        Attribute(GUARDRAIL, "The metric that a guardrail of a rollout watches."),
        Attribute(ACTION, "What was done to a rollout, such as advance, hold or roll back."),
    )
}

SPANS: dict[str, str] = {
    "{http.request.method} {http.route}": "One request, from its first byte to its answer.",
    "{rpc.method}": "One call over gRPC, from its message to its answer.",
    SPAN_VERSION: "The part of a request that a version host worked on.",
    SPAN_SHADOW: "A shadow version's work on a copy, linked to the request it copies.",
}

_VERSION_OF = (MODEL, VERSION)
_SIGNAL_OF = (MODEL, VERSION, ARM, FAMILY, SIGNAL, SUBJECT)
_DISTANCE_OF = (*_SIGNAL_OF, DISTANCE)

REQUEST_DURATION = Metric(
    "http.server.request.duration",
    Kind.HISTOGRAM,
    "s",
    (HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS, ERROR_TYPE),
    "Duration of HTTP requests.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
CALL_DURATION = Metric(
    "rpc.server.call.duration",
    Kind.HISTOGRAM,
    "s",
    (RPC_SYSTEM, RPC_METHOD, RPC_STATUS, ERROR_TYPE),
    "Duration of gRPC calls.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
CLOSED_REASONS = ("malformed", "slow_request", "slow_reader", "too_many")
"""Why a connection may be broken off."""
CONNECTIONS_CLOSED = Metric(
    "weir.connections.closed",
    Kind.COUNTER,
    "{connection}",
    (REASON,),
    "Connections that the gateway broke off: malformed, slow_request, slow_reader or too_many.",
)
CONNECTIONS_OPEN = Metric(
    "weir.connections.open",
    Kind.GAUGE,
    "{connection}",
    (),
    "Connections that are open on the inference ports.",
)
INFERENCE_DURATION = Metric(
    "weir.inference.duration",
    Kind.HISTOGRAM,
    "s",
    (MODEL, VERSION, ARM, ERROR_TYPE),
    "Duration of whole inference requests, as the gateway saw them.",
    bounds=(
        *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
        *(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    ),
)
BATCH_SIZE = Metric(
    "weir.inference.batch.size",
    Kind.HISTOGRAM,
    "{row}",
    _VERSION_OF,
    "Rows that ran together as one batch.",
    bounds=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0),
)
ROUTER_GENERATION = Metric(
    "weir.router.generation",
    Kind.GAUGE,
    "{generation}",
    (),
    "Number of the route table that the gateway serves, the least of all replicas; not its age.",
    across=Across.MIN,
)
SAMPLES = Metric(
    "weir.recorder.samples",
    Kind.COUNTER,
    "{row}",
    _VERSION_OF,
    "Rows that were kept for the monitors.",
)
SAMPLES_DROPPED = Metric(
    "weir.recorder.samples.dropped",
    Kind.COUNTER,
    "{row}",
    (REASON,),
    "Rows that were chosen for the monitors and lost on the way.",
)
SNAPSHOTS_FAILED = Metric(
    "weir.recorder.snapshots.failed",
    Kind.COUNTER,
    "{snapshot}",
    (),
    "Snapshots of counts that could not be delivered; a later one replaces them.",
)
SHADOW_REQUESTS = Metric(
    "weir.shadow.requests",
    Kind.COUNTER,
    "{request}",
    (MODEL, VERSION, OUTCOME),
    "Requests that were copied to a shadow version, by what became of them.",
)
REQUESTS_SHED = Metric(
    "weir.requests.shed",
    Kind.COUNTER,
    "{request}",
    (MODEL,),
    "Requests that were refused because the model had as many as it could answer in time.",
)
REQUESTS_REFUSED = Metric(
    "weir.requests.refused",
    Kind.COUNTER,
    "{request}",
    (MODEL, REASON),
    "Requests that break the model's contract: by an input, datatype, shape, value or output.",
)
REQUESTS_LIMIT = Metric(
    "weir.requests.limit",
    Kind.GAUGE,
    "{request}",
    (MODEL,),
    "Requests that the model may have in flight now, over all gateway replicas.",
)
ROUTER_STABLE_ALONE = Metric(
    "weir.router.stable.alone",
    Kind.GAUGE,
    "{replica}",
    (MODEL,),
    "Gateway replicas that serve a rollout's stable version alone: they reach no judge, or not all"
    " that is judged.",
)
VERSION_RETRIES = Metric(
    "weir.version.retries",
    Kind.COUNTER,
    "{batch}",
    _VERSION_OF,
    "Batches that were sent once more because the link to the version was lost.",
)
VERSION_EJECTIONS = Metric(
    "weir.version.ejections",
    Kind.COUNTER,
    "{ejection}",
    (*_VERSION_OF, REASON),
    "Times that a replica of the version was made to rest: hung, lost, rubbish, failing or slow.",
)
VERSION_READY = Metric(
    "weir.version.ready",
    Kind.GAUGE,
    "{replica}",
    _VERSION_OF,
    "Gateway replicas that are connected to the version; 0 means that nobody can use it.",
)
SHELF_MODELS = Metric(
    "weir.shelf.models",
    Kind.GAUGE,
    "{model}",
    (),
    "Versions that are in the memory of shared hosts now.",
)
SHELF_MEMORY = Metric(
    "weir.shelf.memory",
    Kind.GAUGE,
    "By",
    (),
    "Memory that the versions in shared hosts take, as it grew when they were loaded.",
)
SHELF_LOAD_DURATION = Metric(
    "weir.shelf.load.duration",
    Kind.HISTOGRAM,
    "s",
    (ERROR_TYPE,),
    "Duration of loading a version into a shared host, its turn included.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
SHELF_UNLOADS = Metric(
    "weir.shelf.unloads",
    Kind.COUNTER,
    "{model}",
    (),
    "Versions that left a shared host's memory to make room for others.",
)
TASK_FOLLOW, TASK_REHOUSE = "follow", "rehouse"
TASK_ALARMS, TASK_DELIVER = "alarms", "deliver"
TASK_ROLLOUTS, TASK_TELL = "rollouts", "tell"
"""The tasks: a shared host does what it is told; the control plane moves what cannot share, learns
of alarms, and delivers them; it looks at rollouts, and tells of them."""
TASK_FAILURES = Metric(
    "weir.task.failures",
    Kind.COUNTER,
    "{failure}",
    (TASK,),
    "Times that a task of the gateway's own failed in a way that nobody expected, and went on.",
)
SIGNAL_VALUE = Metric(
    "weir.signal.value",
    Kind.GAUGE,
    "",
    _SIGNAL_OF,
    "The effect that a monitor measured, in the signal's own unit.",
    across=Across.LATEST,
)
SIGNAL_LOWER = Metric(
    "weir.signal.lower",
    Kind.GAUGE,
    "",
    _SIGNAL_OF,
    "Lower bound of the effect.",
    across=Across.LATEST,
)
SIGNAL_UPPER = Metric(
    "weir.signal.upper",
    Kind.GAUGE,
    "",
    _SIGNAL_OF,
    "Upper bound of the effect.",
    across=Across.LATEST,
)
SIGNAL_EVIDENCE = Metric(
    "weir.signal.evidence",
    Kind.GAUGE,
    "{log10}",
    _SIGNAL_OF,
    "Evidence that something changed: the logarithm, to base 10, of the e-value.",
    across=Across.LATEST,
)
SIGNAL_ROWS = Metric(
    "weir.signal.rows",
    Kind.GAUGE,
    "{row}",
    _SIGNAL_OF,
    "Rows that the signal rests on.",
    across=Across.LATEST,
)
SIGNAL_ROWS_NEEDED = Metric(
    "weir.signal.rows.needed",
    Kind.GAUGE,
    "{row}",
    _SIGNAL_OF,
    "Rows that a signal lacks to say something; 0 if it does, or if no number would help.",
    across=Across.LATEST,
)
SIGNAL_DISTANCE = Metric(
    "weir.signal.distance",
    Kind.GAUGE,
    "",
    _DISTANCE_OF,
    "A familiar distance of live rows from the reference; for show, nobody is paged on it.",
    across=Across.LATEST,
)
SIGNAL_DISTANCE_LOWER = Metric(
    "weir.signal.distance.lower",
    Kind.GAUGE,
    "",
    _DISTANCE_OF,
    "Lower bound (95 %, two-sided) of the distance without its noise.",
    across=Across.LATEST,
)
SIGNAL_DISTANCE_UPPER = Metric(
    "weir.signal.distance.upper",
    Kind.GAUGE,
    "",
    _DISTANCE_OF,
    "Upper bound (95 %, two-sided) of the distance without its noise.",
    across=Across.LATEST,
)
SIGNAL_STATE = Metric(
    "weir.signal.state",
    Kind.UP_DOWN_COUNTER,
    "1",
    (*_SIGNAL_OF, STATE),
    "1 for the verdict that holds now, 0 for the other three.",
    across=Across.LATEST,
)
ALARMS = Metric(
    "weir.alarms",
    Kind.COUNTER,
    "{alarm}",
    _SIGNAL_OF,
    "Times that a signal went into alarm.",
)
ALARM_DELIVERIES = Metric(
    "weir.alarm.deliveries",
    Kind.COUNTER,
    "{delivery}",
    (OUTCOME,),
    "Tries to deliver alarms, by what became of them: delivered, refused or failed.",
)
_ROLLOUT_OF = (MODEL, VERSION)
ROLLOUT_STATE = Metric(
    "weir.rollout.active",
    Kind.GAUGE,
    "{rollout}",
    (*_ROLLOUT_OF, ROLLOUT_STATE_IS),
    "1 for the state that the rollout of a version is in; nothing once it is over.",
    across=Across.LATEST,
)
ROLLOUT_STEP = Metric(
    "weir.rollout.step",
    Kind.GAUGE,
    "{step}",
    _ROLLOUT_OF,
    "Step of the canary, from 1; 0 before it.",
    across=Across.LATEST,
)
ROLLOUT_SHARE = Metric(
    "weir.rollout.share",
    Kind.GAUGE,
    "",
    _ROLLOUT_OF,
    "Share of the traffic that the rollout gives its candidate.",
    across=Across.LATEST,
)
ROLLOUT_HARM = Metric(
    "weir.rollout.harm",
    Kind.GAUGE,
    "{log10}",
    (*_ROLLOUT_OF, GUARDRAIL),
    "Evidence that the candidate is worse: the logarithm, to base 10, of the e-value.",
    across=Across.LATEST,
)
ROLLOUT_GOOD = Metric(
    "weir.rollout.good",
    Kind.GAUGE,
    "{log10}",
    (*_ROLLOUT_OF, GUARDRAIL),
    "Evidence that it is not worse by the margin: the logarithm, to base 10, of the e-value.",
    across=Across.LATEST,
)
ROLLOUT_CHANGES = Metric(
    "weir.rollout.changes",
    Kind.COUNTER,
    "{change}",
    (MODEL, ACTION),
    "Changes of rollouts, by what was done.",
)
ROLLOUT_DELIVERIES = Metric(
    "weir.rollout.deliveries",
    Kind.COUNTER,
    "{delivery}",
    (OUTCOME,),
    "Tries to tell of rollouts, by what became of them: delivered, refused or failed.",
)
MONITOR_BLOCKS = Metric(
    "weir.monitor.blocks",
    Kind.COUNTER,
    "{block}",
    _VERSION_OF,
    "Blocks of rows that the monitors took in.",
)
MONITOR_LAG = Metric(
    "weir.monitor.lag",
    Kind.GAUGE,
    "s",
    (MONITOR,),
    "Age of the last block of rows when the monitor took it in.",
    across=Across.MAX,
)
MONITOR_FAILURES = Metric(
    "weir.monitor.failures",
    Kind.COUNTER,
    "{failure}",
    (MONITOR,),
    "Times that a monitor, or the export of its signals, failed.",
)
LABELS = Metric(
    "weir.labels",
    Kind.COUNTER,
    "{label}",
    (MODEL, OUTCOME),
    "Labels: joined, waiting, repeated, corrected, refused; of those found, unmatched, evicted.",
)
LABELS_PENDING = Metric(
    "weir.labels.pending",
    Kind.GAUGE,
    "{row}",
    (MODEL,),
    "Predictions that wait for their label.",
)
LABELS_COVERAGE = Metric(
    "weir.labels.coverage",
    Kind.GAUGE,
    "",
    (MODEL, VERSION, ARM),
    "Share of the predictions older than the expected delay that have their label.",
    across=Across.LATEST,
)
LABELS_PREDICTIONS_LOST = Metric(
    "weir.labels.predictions.lost",
    Kind.COUNTER,
    "{row}",
    (MODEL, REASON),
    "Predictions not judged: expired or evicted while they waited, unreadable, or unwritten.",
)
TRAINING_ROWS = Metric(
    "weir.training.rows",
    Kind.COUNTER,
    "{row}",
    (),
    "Rows that the training log has written to files, with their label.",
)
TRAINING_DROP_REASONS = ("too_fast", "unfit", "surplus", "expired", "unwritten")
"""Why a row may be in no file: too many came at once, its tensors do not fit the card, too many
waited, its label did not come in time, the disk did not take it."""
TRAINING_ROWS_DROPPED = Metric(
    "weir.training.rows.dropped",
    Kind.COUNTER,
    "{row}",
    (REASON,),
    "Rows that the training log let go of: too_fast, unfit, surplus, expired or unwritten.",
)
TRAINING_WRITTEN = Metric(
    "weir.training.written",
    Kind.COUNTER,
    "By",
    (),
    "Bytes of the files that the training log has written.",
)
TELEMETRY_SOURCES = Metric(
    "weir.telemetry.sources",
    Kind.GAUGE,
    "{source}",
    (),
    "Processes whose counts are being folded now.",
)
TELEMETRY_REFUSED = Metric(
    "weir.telemetry.refused",
    Kind.COUNTER,
    "{series}",
    (REASON,),
    "Series that were refused, once for each snapshot that carried them.",
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        REQUEST_DURATION,
        CALL_DURATION,
        CONNECTIONS_CLOSED,
        CONNECTIONS_OPEN,
        INFERENCE_DURATION,
        BATCH_SIZE,
        ROUTER_GENERATION,
        SAMPLES,
        SAMPLES_DROPPED,
        SNAPSHOTS_FAILED,
        SHADOW_REQUESTS,
        REQUESTS_SHED,
        REQUESTS_REFUSED,
        REQUESTS_LIMIT,
        ROUTER_STABLE_ALONE,
        VERSION_RETRIES,
        VERSION_EJECTIONS,
        VERSION_READY,
        SHELF_MODELS,
        SHELF_MEMORY,
        SHELF_LOAD_DURATION,
        SHELF_UNLOADS,
        TASK_FAILURES,
        SIGNAL_VALUE,
        SIGNAL_LOWER,
        SIGNAL_UPPER,
        SIGNAL_EVIDENCE,
        SIGNAL_ROWS,
        SIGNAL_ROWS_NEEDED,
        SIGNAL_DISTANCE,
        SIGNAL_DISTANCE_LOWER,
        SIGNAL_DISTANCE_UPPER,
        SIGNAL_STATE,
        ALARMS,
        ALARM_DELIVERIES,
        ROLLOUT_STATE,
        ROLLOUT_STEP,
        ROLLOUT_SHARE,
        ROLLOUT_HARM,
        ROLLOUT_GOOD,
        ROLLOUT_CHANGES,
        ROLLOUT_DELIVERIES,
        MONITOR_BLOCKS,
        MONITOR_LAG,
        MONITOR_FAILURES,
        LABELS,
        LABELS_PENDING,
        LABELS_COVERAGE,
        LABELS_PREDICTIONS_LOST,
        TRAINING_ROWS,
        TRAINING_ROWS_DROPPED,
        TRAINING_WRITTEN,
        TELEMETRY_SOURCES,
        TELEMETRY_REFUSED,
    )
}
"""Every metric by its name."""
