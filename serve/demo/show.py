"""The tables of the demo's story: what was measured, ready to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text

from monitors.signal import Verdict
from monitors.stats.intervals import wilson
from serve.control.schemas import ArmSignalsView, AuditView, SignalView
from serve.demo.data import Applicants
from serve.demo.traffic import Report
from serve.demo.train import Trained

_STRONGEST = 6
_COLOURS = {
    Verdict.OK: "green",
    Verdict.ALARM: "bold red",
    Verdict.INSUFFICIENT_DATA: "yellow",
    Verdict.ERROR: "bold magenta",
}


def people(applicants: Applicants) -> Table:
    """How many applicants of each race the real lenders approved."""
    table = _table("race", "applicants", "approved", "95 % interval", numbers_from=1)
    for race in np.unique(applicants.race):
        answers = applicants.approved[applicants.race == race]
        table.add_row(str(race), *_share(int(answers.sum()), len(answers)))
    return table


def models(trained: Iterable[Trained]) -> Table:
    """What was trained and how well it ranks applicants that it never saw."""
    table = _table("version", "kind", "area under curve", "ONNX file", "ONNX - sklearn")
    for number, version in enumerate(trained, start=1):
        table.add_row(
            str(number),
            version.kind,
            f"{version.auc:.3f}",
            f"{version.model.stat().st_size / 1024:.0f} KiB",
            f"{version.largest_difference:.0e} at most",
        )
    return table


def answers(report: Report) -> Table:
    """Who answered the client, and how fast."""
    table = _table("sent", "answered", "failed", "by version", "by arm", "p50", "p99")
    table.add_row(
        str(report.sent),
        str(report.answered),
        str(report.failed),
        _counts(report.by_version),
        _counts(report.by_arm),
        _milliseconds(report.latency_ms_p50),
        _milliseconds(report.latency_ms_p99),
    )
    return table


def groups(report: Report, arm: ArmSignalsView) -> Table:
    """The model's approvals by race, and what the fairness monitor says of the gap."""
    table = _table("race", "asked", "approved", "95 % interval", "gap to all others", "verdict")
    gaps = {signal.subject.partition("=")[2]: signal for signal in of_family(arm, "fairness")}
    for race, rows in report.rows_by_race.items():
        gap = gaps.get(race)
        said = (_interval(gap), _verdict(gap.verdict)) if gap else ("", Text("not met"))
        table.add_row(race, *_share(report.approvals_by_race[race], rows), *said)
    return table


def drift(signals: Sequence[SignalView]) -> Table:
    """The signals with the strongest evidence, and how many more there are."""
    table = _table("signal", "of", "change", "95 % bounds", "evidence", "verdict")
    ordered = sorted(signals, key=lambda s: -(s.log10_evidence or 0.0))
    for signal in ordered[:_STRONGEST]:
        evidence = signal.log10_evidence
        table.add_row(
            signal.name.replace("_", " "),
            signal.subject,
            _signed(signal.value),
            _bounds(signal),
            "" if evidence is None else f"10^{evidence:.1f}",
            _verdict(signal.verdict),
        )
    table.add_section()
    rest = Counter(signal.verdict.value for signal in ordered[_STRONGEST:])
    table.add_row(f"{rest.total()} more", "", "", "", "less", _counts(rest))
    return table


def audit(entries: Iterable[AuditView]) -> Table:
    """Who changed what, when and why, with the start of each entry's hash."""
    table = _table("#", "at", "who", "did", "to", "because", "hash")
    for entry in entries:
        table.add_row(
            str(entry.sequence),
            entry.at[11:19],
            entry.actor,
            entry.action,
            entry.resource,
            entry.reason,
            entry.hash.removeprefix("sha256:")[:8],
        )
    return table


def of_family(arm: ArmSignalsView, family: str) -> tuple[SignalView, ...]:
    """The signals of one family."""
    return tuple(signal for signal in arm.signals if signal.family == family)


def _table(*columns: str, numbers_from: int | None = None) -> Table:
    table = Table(header_style="bold")
    for position, column in enumerate(columns):
        right = numbers_from is not None and position >= numbers_from
        table.add_column(column, justify="right" if right else "left")
    return table


def _share(hits: int, rows: int) -> tuple[str, str, str]:
    lower, upper = wilson(hits, rows)
    return str(rows), f"{hits / rows:.1%}", f"{lower:.1%} to {upper:.1%}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} ms"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.2f}"


def _bounds(signal: SignalView) -> str:
    if signal.lower is None or signal.upper is None:
        return ""
    return f"{signal.lower:+.2f} to {signal.upper:+.2f}"


def _interval(signal: SignalView) -> str:
    if signal.value is None:
        return signal.message
    return f"{_signed(signal.value)} ({_bounds(signal)})"


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_COLOURS[verdict])
