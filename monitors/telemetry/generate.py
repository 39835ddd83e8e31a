"""Writes the dashboard, the alert rules and the page of signals: `python -m <this module>`."""

from __future__ import annotations

from pathlib import Path

from monitors.telemetry.dashboard import dashboard_json
from monitors.telemetry.reference import signals_page
from monitors.telemetry.rules import rules_yaml

CHECKOUT = Path(__file__).parents[2]


def generated() -> dict[str, str]:
    """The text of every generated file, by its path in the checkout."""
    return {
        "deploy/grafana/weir.json": dashboard_json(),
        "deploy/prometheus/weir.rules.yml": rules_yaml(),
        "docs/signals.md": signals_page(),
    }


def main() -> None:
    """Write every generated file where it belongs."""
    for path, text in generated().items():
        target = CHECKOUT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
