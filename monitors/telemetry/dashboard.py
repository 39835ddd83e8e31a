"""The Grafana dashboard, made from the registry with the typed builder.

The builder is an optional dependency; only what generates files imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from string import ascii_uppercase

from grafana_foundation_sdk.builders import prometheus, statetimeline, timeseries
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)

from monitors.signal import Verdict
from monitors.stats.familiar import Familiar
from monitors.telemetry import names
from monitors.telemetry.names import Metric
from monitors.telemetry.promql import labels, legend, matches, our_fault, series

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_MODEL = matches(names.MODEL, "=~", "$model")
_SIGNAL = matches(names.SIGNAL, "=~", "$signal")
_ARMS = (names.MODEL, names.VERSION, names.ARM)
_VERSIONS = (names.MODEL, names.VERSION)
_SUBJECT = (*_ARMS, names.SUBJECT)
_RATE = "$__rate_interval"
_COLOURS = {
    Verdict.OK: "green",
    Verdict.ALARM: "red",
    Verdict.INSUFFICIENT_DATA: "yellow",
    Verdict.ERROR: "purple",
}
_VERDICTS = ValueMap(
    options={
        str(code): ValueMappingResult(text=verdict.value, color=_COLOURS[verdict])
        for code, verdict in enumerate(Verdict)
    }
)


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph over time: its title, what it tells, its unit in Grafana's terms, its queries.

    `verdicts` says that the queries give the codes of verdicts, to be shown in words.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    verdicts: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A row of panels, shown once, or once for each value of the variable in `repeat`."""

    title: str
    panels: tuple[Panel, ...]
    repeat: str = ""


def sections() -> tuple[Section, ...]:
    """The whole dashboard, from what users feel down to the health of the monitors."""
    return (
        Section("Requests", (*_requests(), *_http(), *_overload())),
        Section("Split and shadow", _split()),
        Section("Rollouts", _rollouts()),
        Section("Versions", (*_versions(), *_shelves())),
        Section("Signal: $signal", _signal(), repeat="signal"),
        Section("Health of the monitors", _health()),
    )


def dashboard_json() -> str:
    """The dashboard, as Grafana imports it."""
    board = (
        Dashboard("Weir")
        .uid("weir")
        .tags(["weir"])
        .time("now-1h", "now")
        .refresh("10s")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable("model", names.INFERENCE_DURATION, names.MODEL, "count"))
        .with_variable(_variable("signal", names.SIGNAL_STATE, names.SIGNAL))
    )
    ids = count(1)
    for section in sections():
        row = Row(section.title).id(next(ids))
        if section.repeat:
            row = row.repeat(section.repeat)
        board = board.with_row(row)
        for panel in section.panels:
            board = board.with_panel(_built(panel).id(next(ids)))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _requests() -> tuple[Panel, ...]:
    requests = series(names.INFERENCE_DURATION, _MODEL, part="count")
    failed = series(names.INFERENCE_DURATION, _MODEL, our_fault(), part="count")
    bucket = series(names.INFERENCE_DURATION, _MODEL, part="bucket")
    grouped = f"sum by {labels(*_ARMS)}"
    every = f"{grouped} (rate({requests}[{_RATE}]))"
    by_bound = f"sum by {labels(*_ARMS, 'le')} (rate({bucket}[{_RATE}]))"
    return (
        Panel(
            "Requests",
            "Inference requests per second, by version and arm.",
            "reqps",
            (Query(every, legend(*_ARMS)),),
        ),
        Panel(
            "Errors",
            "Share of requests that failed by our fault.",
            "percentunit",
            (
                Query(
                    f"({grouped} (rate({failed}[{_RATE}])) or 0 * {every}) / {every}",
                    legend(*_ARMS),
                ),
            ),
        ),
        Panel(
            "Latency",
            "Half, and all but one in a hundred, of the requests were faster.",
            "s",
            tuple(
                Query(f"histogram_quantile({quantile}, {by_bound})", f"{name} {legend(*_ARMS)}")
                for quantile, name in ((0.5, "p50"), (0.99, "p99"))
            ),
        ),
    )


def _http() -> tuple[Panel, ...]:
    return (
        _answers("HTTP", names.REQUEST_DURATION, names.HTTP_METHOD, names.HTTP_ROUTE),
        _answers("gRPC", names.CALL_DURATION, names.RPC_METHOD),
    )


def _answers(protocol: str, metric: Metric, *asked: str) -> Panel:
    """How often something was asked over a protocol, by what was asked and how it ended."""
    by = (*asked, metric.attributes[-2])
    answers = series(metric, part="count")
    return Panel(
        f"{protocol} answers",
        f"{protocol} requests per second, by what was asked and the status.",
        "reqps",
        (Query(f"sum by {labels(*by)} (rate({answers}[{_RATE}]))", legend(*by)),),
    )


def _overload() -> tuple[Panel, ...]:
    model = (names.MODEL,)
    by_reason = (*model, names.REASON)
    return (
        _rate("Requests refused", names.REQUESTS_SHED, model, "reqps", _MODEL),
        _gauge("Requests allowed in flight", names.REQUESTS_LIMIT, model, "none", _MODEL),
        _rate("Contract broken", names.REQUESTS_REFUSED, by_reason, "reqps", _MODEL),
    )


def _split() -> tuple[Panel, ...]:
    requests = series(
        names.INFERENCE_DURATION, _MODEL, matches(names.ARM, "!=", "shadow"), part="count"
    )
    rate = f"(rate({requests}[{_RATE}]))"
    return (
        Panel(
            "Split",
            "Share of a model's traffic that each version really gets.",
            "percentunit",
            (
                Query(
                    f"sum by {labels(*_ARMS)} {rate} / on {labels(names.MODEL)} group_left() "
                    f"sum by {labels(names.MODEL)} {rate}",
                    legend(*_ARMS),
                ),
            ),
        ),
        _rate("Shadow", names.SHADOW_REQUESTS, (*_VERSIONS, names.OUTCOME), "reqps", _MODEL),
        _gauge("Route generation", names.ROUTER_GENERATION, (), "none"),
        _gauge("Stable alone", names.ROUTER_STABLE_ALONE, (names.MODEL,), "none", _MODEL),
    )


def _rollouts() -> tuple[Panel, ...]:
    by_guardrail = (*_VERSIONS, names.GUARDRAIL)
    by_state = (*_VERSIONS, names.ROLLOUT_STATE_IS)
    return (
        _gauge("State of rollouts", names.ROLLOUT_STATE, by_state, "none", _MODEL),
        _gauge("Step", names.ROLLOUT_STEP, _VERSIONS, "none", _MODEL),
        _gauge("Share of the candidate", names.ROLLOUT_SHARE, _VERSIONS, "percentunit", _MODEL),
        _gauge("Evidence of harm (log10)", names.ROLLOUT_HARM, by_guardrail, "none", _MODEL),
        _gauge("Evidence of no harm (log10)", names.ROLLOUT_GOOD, by_guardrail, "none", _MODEL),
        _rate("Changes", names.ROLLOUT_CHANGES, (names.MODEL, names.ACTION), "ops", _MODEL),
        _rate("Rollouts told", names.ROLLOUT_DELIVERIES, (names.OUTCOME,), "ops"),
    )


def _versions() -> tuple[Panel, ...]:
    parts = (series(names.BATCH_SIZE, _MODEL, part=part) for part in ("sum", "count"))
    rows, batches = (f"sum by {labels(*_VERSIONS)} (rate({part}[{_RATE}]))" for part in parts)
    return (
        _gauge("Ready", names.VERSION_READY, _VERSIONS, "none", _MODEL),
        Panel(
            "Rows in a batch",
            "Mean number of rows that ran together.",
            "none",
            (Query(f"{rows} / {batches}", legend(*_VERSIONS)),),
        ),
        _rate("Retries", names.VERSION_RETRIES, _VERSIONS, "ops", _MODEL),
        _rate("Ejections", names.VERSION_EJECTIONS, (*_VERSIONS, names.REASON), "ops", _MODEL),
    )


def _shelves() -> tuple[Panel, ...]:
    loads = series(names.SHELF_LOAD_DURATION, part="bucket")
    slowest = f"histogram_quantile(0.99, sum by (le) (rate({loads}[{_RATE}])))"
    return (
        _gauge("In shared hosts", names.SHELF_MODELS, (), "none"),
        _gauge("Memory of shared hosts", names.SHELF_MEMORY, (), "bytes"),
        _rate("Unloads", names.SHELF_UNLOADS, (), "ops"),
        Panel("Loads, p99", names.SHELF_LOAD_DURATION.description, "s", (Query(slowest, "p99"),)),
    )


def _signal() -> tuple[Panel, ...]:
    chosen = (_MODEL, _SIGNAL)
    effect = (
        (names.SIGNAL_VALUE, ""),
        (names.SIGNAL_LOWER, "lower bound: "),
        (names.SIGNAL_UPPER, "upper bound: "),
    )
    psi = matches(names.DISTANCE, "=", Familiar.PSI.value)
    distances = (
        (names.SIGNAL_DISTANCE, ""),
        (names.SIGNAL_DISTANCE_LOWER, "lower bound: "),
        (names.SIGNAL_DISTANCE_UPPER, "upper bound: "),
    )
    return (
        Panel(
            "Verdict",
            "What the monitor concludes about each subject; no data is never ok.",
            "none",
            (Query(_verdict_code(), legend(*_SUBJECT)),),
            verdicts=True,
        ),
        Panel(
            "Effect",
            "What was measured, with its bounds, in the signal's own unit.",
            "none",
            tuple(
                Query(series(metric, *chosen), prefix + legend(*_SUBJECT))
                for metric, prefix in effect
            ),
        ),
        _gauge("Evidence (log10)", names.SIGNAL_EVIDENCE, _SUBJECT, "none", *chosen),
        _gauge("Rows", names.SIGNAL_ROWS, _SUBJECT, "none", *chosen),
        _gauge("Rows lacking", names.SIGNAL_ROWS_NEEDED, _SUBJECT, "none", *chosen),
        Panel(
            "PSI",
            "Population stability index with its bounds. For show: nobody is paged on it.",
            "none",
            tuple(
                Query(series(metric, *chosen, psi), prefix + legend(*_SUBJECT))
                for metric, prefix in distances
            ),
        ),
    )


def _health() -> tuple[Panel, ...]:
    return (
        _rate("Alarms", names.ALARMS, (*_VERSIONS, names.SIGNAL, names.SUBJECT), "ops"),
        _rate("Alarms told", names.ALARM_DELIVERIES, (names.OUTCOME,), "ops"),
        _gauge("Lag", names.MONITOR_LAG, (names.MONITOR,), "s"),
        _rate("Blocks taken in", names.MONITOR_BLOCKS, _VERSIONS, "ops"),
        _rate("Failures", names.MONITOR_FAILURES, (names.MONITOR,), "ops"),
        _rate("Labels", names.LABELS, (names.MODEL, names.OUTCOME), "ops"),
        _gauge("Labels awaited", names.LABELS_PENDING, (names.MODEL,), "none"),
        _gauge("Labels come", names.LABELS_COVERAGE, _ARMS, "percentunit"),
        _rate("Labels lost", names.LABELS_PREDICTIONS_LOST, (names.MODEL, names.REASON), "rowsps"),
        _rate("Rows kept", names.SAMPLES, _VERSIONS, "rowsps"),
        _rate("Rows dropped", names.SAMPLES_DROPPED, (names.REASON,), "rowsps"),
        _rate("Failures of tasks", names.TASK_FAILURES, (names.TASK,), "ops"),
        _rate("Snapshots failed", names.SNAPSHOTS_FAILED, (), "ops"),
        _rate("Series refused", names.TELEMETRY_REFUSED, (names.REASON,), "ops"),
        _gauge("Sources", names.TELEMETRY_SOURCES, (), "none"),
        _gauge("Connections", names.CONNECTIONS_OPEN, (), "none"),
        _rate("Connections broken off", names.CONNECTIONS_CLOSED, (names.REASON,), "ops"),
    )


def _gauge(title: str, metric: Metric, by: tuple[str, ...], unit: str, *matchers: str) -> Panel:
    query = Query(series(metric, *matchers), legend(*by) or title)
    return Panel(title, metric.description, unit, (query,))


def _rate(title: str, metric: Metric, by: tuple[str, ...], unit: str, *matchers: str) -> Panel:
    expr = f"sum by {labels(*by)} (rate({series(metric, *matchers)}[{_RATE}]))"
    return Panel(title, f"{metric.description} Per second.", unit, (Query(expr, legend(*by)),))


def _verdict_code() -> str:
    """A number for each verdict, in the order of `Verdict`, that the panel shows in words."""
    codes = (
        series(names.SIGNAL_STATE, _MODEL, _SIGNAL, matches(names.STATE, "=", verdict.value))
        for verdict in Verdict
    )
    terms = (f"{code} * max by {labels(*_SUBJECT)} ({state})" for code, state in enumerate(codes))
    return " + ".join(terms)


def _built(panel: Panel) -> timeseries.Panel | statetimeline.Panel:
    built = statetimeline.Panel().mappings([_VERDICTS]) if panel.verdicts else timeseries.Panel()
    built = built.title(panel.title).description(panel.description).unit(panel.unit)
    built = built.datasource(_SOURCE).height(8).span(8)
    for letter, query in zip(ascii_uppercase, panel.queries, strict=False):
        built = built.with_target(_target(query).ref_id(letter))
    return built


def _target(query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(query.expr).legend_format(query.legend).range()


def _variable(name: str, metric: Metric, attribute: str, part: str = "") -> QueryVariable:
    label = labels(attribute)[1:-1]
    query = f"label_values({series(metric, part=part)}, {label})"
    variable = QueryVariable(name).label(name.capitalize()).query(query).datasource(_SOURCE)
    return variable.multi(True).include_all(True).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
