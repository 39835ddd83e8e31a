"""What was measured is written into the documentation, and nothing else is touched."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from benchmarks import report, summary
from benchmarks.compare import Missing
from tests.benchmarks.samples import sample

MACHINE = {
    "cores": "2",
    "virtual": "yes",
    "processors": "servers on 1, load on 1 other",
    "processor": "a maker's name",
    "system": "Linux 1.2.3",
    "Python": "3.11.7",
    "rounds": "1",
    "seconds": "3",
    "mlserver": "1.7.1",
}


def measured() -> dict[str, object]:
    """A comparison of one round, in which one contestant fails."""
    samples = [
        sample("weir", 0, 9000.0, processor_us=50.0),
        sample("mlserver", 0, 1000.0),
        sample("kserve", 0, 800.0, workload="block-json"),
    ]
    return {
        "machine": MACHINE,
        "workloads": {"row-json": "1 x 30, JSON", "block-json": "64 x 30, JSON"},
        "figures": [asdict(figure) for figure in summary.of_ratios(samples)],
        "rows": [asdict(row) for row in summary.rows(samples)],
        "missing": [asdict(Missing("triton", "row-json", 0, "it does not start\nits log"))],
    }


def test_the_tables_say_what_was_measured(tmp_path: Path) -> None:
    """Figures with their targets, rates with Weir's ratios, and a dash for what there is not."""
    page, figures = tmp_path / "page.md", tmp_path / "figures.json"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    figures.write_bytes(orjson.dumps(measured()))

    assert report.main([str(figures), "--page", str(page)]) == 0

    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "| requests/s, row-json, weir / mlserver | 9.00 | median at least 9 | yes |" in text
    assert "| mlserver | 1,000 | 1,000 | 2,000 | 100 | 9.00 | 0.50 |" in text
    assert "| kserve | - | - | - | - | - | - |" in text
    assert "- triton, row-json, round 1: it does not start" in text
    assert "2 virtual processors" in text
    assert "Versions: mlserver 1.7.1." in text
    assert "a maker's name" not in text


def test_a_page_without_a_place_for_them_is_left_alone() -> None:
    """The two comments are named."""
    with pytest.raises(ValueError, match="begin"):
        report.placed("a page", "tables")


def test_the_page_has_a_place_for_them() -> None:
    """`docs/performance.md` has both comments."""
    page = report.PAGE.read_text(encoding="utf-8")
    assert "tables" in report.placed(page, "tables")
