"""`weir simulate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from configs.policy import Metric, Policy
from registry.rollouts import RolloutState
from serve.rollout.evidence import Evidence, fold
from serve.rollout.tallies import JudgedArm, Tally
from tests.cli.conftest import Weir
from tests.control.serving import Api

QUICK = "steps: [20, 50]\ndwell_s: 60\nbake_s: 60\n"
SHORT = ("--rollouts", "5", "--hours", "0.2", "--calm", "--rate", "50")


def test_good_and_bad_versions_are_played_beside_other_rules(weir: Weir, tmp_path: Path) -> None:
    """A table for each, with bounds; no gateway is asked."""
    file = tmp_path / "policy.yaml"
    file.write_text(QUICK)
    done = weir(
        "simulate", "--policy", str(file), *SHORT, "--worse", "50", "--metric", "error_ratio"
    )
    assert done.exit_code == 0, done.stderr
    good, bad = done.stdout.split("A version with 50 times as much error_ratio")
    assert "5 rollouts, 50 requests a second" in good
    built_in = "As built in, not as any gateway is configured: alpha, approvals, baseline_max, "
    assert good.startswith(built_in)
    assert "steps" not in good.splitlines()[0]
    for rule in ("Weir", "Flagger", "Argo Rollouts", "SageMaker"):
        assert rule in good
        assert rule in bad
    (ours,) = (each for each in bad.splitlines() if each.startswith("Weir"))
    assert "100.0% (at most 100.0%)" in ours
    (same,) = (each for each in good.splitlines() if each.startswith("Weir"))
    assert same.split("  ")[0] == "Weir"
    assert "0.0% (at most 45.1%)" in same


def test_the_policy_of_a_dry_run_can_be_played(
    weir: Weir, two_versions: Api, tmp_path: Path
) -> None:
    """It is whole: nothing of it is as built in."""
    done = weir("rollout", "start", "credit", "2", "--dry-run", "--json")
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(json.loads(done.stdout)["rollout"]["policy"]))
    played = weir("simulate", "--policy", str(file), *SHORT)

    assert played.exit_code == 0, played.stderr
    assert "As built in" not in played.stdout


def test_a_policy_that_is_wrong_is_named(weir: Weir, tmp_path: Path) -> None:
    """By its file and key."""
    file = tmp_path / "policy.yaml"
    file.write_text("dwel_s: 60")
    done = weir("simulate", "--policy", str(file), *SHORT)
    assert done.exit_code == 1
    assert str(file) in done.stderr
    assert "dwel_s does not exist" in done.stderr


@pytest.mark.parametrize(
    ("failed", "says"), [(1, "let it be promoted"), (200, "rolled back"), (16, "waited")]
)
def test_recorded_rollouts_are_judged_anew(
    weir: Weir, two_versions: Api, tmp_path: Path, failed: int, says: str
) -> None:
    """By what their changes have kept."""
    rollouts = two_versions.control.rollouts
    assert weir("rollout", "start", "credit", "2").exit_code == 0
    shares = {JudgedArm.CANDIDATE: 5000, JudgedArm.BASELINE: 5000, JudgedArm.STABLE: 0}
    ours, theirs = ({Metric.ERROR_RATIO: count} for count in (failed, 3))
    tallies = {
        JudgedArm.CANDIDATE: Tally(1000, ours, ours),
        JudgedArm.BASELINE: Tally(1000, theirs, theirs),
    }
    evidence = fold(Evidence.begin(Policy()), shares, tallies, 0, 0)
    rollouts.move("r1", state=RolloutState.COMPLETED)
    told = json.dumps({"findings": [], "evidence": json.loads(evidence.to_json())})
    rollouts.kept["r1"][-1] = replace(rollouts.kept["r1"][-1], evidence=told)
    file = tmp_path / "policy.yaml"
    file.write_text("guardrails: [{metric: error_ratio, margin_abs: 0.02}]\n")
    done = weir("simulate", "--policy", str(file), "--recorded", "credit")
    assert done.exit_code == 0, done.stderr
    *_, row = done.stdout.strip().splitlines()
    assert row.split()[:3] == ["r1", "2", "completed"]
    assert says in row
