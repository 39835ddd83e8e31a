"""A registry that is killed anywhere in a change of a rollout has all of that change, or none."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs.settings import Verify
from registry.card import Card, Task
from registry.records import FULL, Arm
from registry.registry import Registry
from registry.rollouts import NOTHING, RolloutState
from tests.registry import models

ROOT = Path(__file__).parents[2]
SLOW = (pytest.mark.slow, pytest.mark.timeout(600))
POINTS = pytest.mark.parametrize("points", [32, pytest.param(256, marks=SLOW)])
KILLS = pytest.mark.parametrize("kills", [4, pytest.param(24, marks=SLOW)])

STORY = """
import sys
from dataclasses import replace
from pathlib import Path
from configs.settings import Verify
from registry.registry import Registry
from registry.rollouts import RolloutState as State, Shares
from tests.registry.rollouts import POLICY

STEPS = [
    (State.SHADOW, 0, Shares(shadow_bp=10_000)),
    (State.CANARY, 0, Shares(500, 500)),
    (State.CANARY, 1, Shares(2500, 1000)),
    (State.BAKING, 1, Shares(9500)),
]

def story(registry, say):
    # A good version, a bad one, and one that somebody takes back by hand.
    for end in (State.COMPLETED, State.ROLLING_BACK, None):
        stable = registry.route("credit").stable
        rollout = registry.start_rollout("credit", 3 - stable, POLICY, "ada", "")
        say(rollout)
        ends = [(end, 1, Shares(10_000 if end is State.COMPLETED else 0))] if end else []
        for state, step, shares in [*STEPS, *ends]:
            registry.keep_evidence(rollout.id, rollout.number, '{"state": "%s"}' % state)
            rollout = move(registry, rollout, state, step, shares)
            say(rollout)
        if end is None:
            registry.rollback("credit", "bob", "")
            rollout = registry.rollout(rollout.id)
            say(rollout)
        if not rollout.state.over:
            say(move(registry, rollout, State.ROLLED_BACK, 1, Shares()))

def move(registry, rollout, state, step, shares):
    number = rollout.number + 1
    after = replace(rollout, number=number, state=state, step=step, entered_at="now")
    return registry.change_rollout(rollout, after, state.value, "{}", "weir", shares)
"""

COUNTED = (
    STORY
    + """
import os, shutil

def run(folder, point):
    # Tell how many of SQLite's own steps the story takes; die at one of them.
    registry = Registry.open(folder, Verify())
    taken = 0

    def step():
        nonlocal taken
        taken += 1
        if taken == point:
            os.kill(os.getpid(), 9)

    registry._store._db.set_progress_handler(step, 1)
    story(registry, lambda rollout: None)
    return taken

template, folder, points = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
shutil.copytree(template, folder / "whole")
steps = run(folder / "whole", 0)
print(steps, flush=True)
for number in range(points):
    there = folder / str(number)
    shutil.copytree(template, there)
    # From end to end, with no two of them alike.
    child = os.fork()
    if child == 0:
        run(there, 1 + number * steps // points)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""
)

FOR_EVER = (
    STORY
    + """
registry = Registry.open(Path(sys.argv[1]), Verify())
print("ready", flush=True)
while True:
    story(registry, lambda rollout: print(rollout.id, rollout.number, flush=True))
"""
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a model of two versions, of which the first serves."""
    with closing(Registry.open(tmp_path / "data", Verify())) as registry:
        for bias in (1.0, 2.0):
            digest = registry.put_artifact(models.regressor(bias).SerializeToString())
            registry.register("credit", digest, Card(task=Task.REGRESSION), None, "ada")
        registry.promote("credit", 1, "ada", "")
    return tmp_path / "data"


_SHARES = {
    (RolloutState.STARTING, 0): (0, 0),
    (RolloutState.SHADOW, 0): (0, FULL),
    (RolloutState.CANARY, 0): (500, 0),
    (RolloutState.CANARY, 1): (2500, 0),
    (RolloutState.BAKING, 1): (9500, 0),
    (RolloutState.ROLLING_BACK, 1): (0, 0),
}
"""What the candidate gets at each step of the story, and what its shadow sees."""


def check(registry: Registry) -> None:
    """The last rollout and the route fit each other, and the log has what was accepted, once."""
    route, rollouts = registry.route("credit"), registry.rollouts()
    assert route is not None
    assert sum(arm.weight_bp for arm in route.arms) == FULL
    for rollout in rollouts[-1:]:
        if rollout.state.over:
            good = rollout.state is RolloutState.COMPLETED
            assert route.arms == (Arm(rollout.candidate if good else rollout.stable, FULL),)
            shares = (0, 0)
        else:
            shares = _SHARES[rollout.state, rollout.step]
            weights = {arm.version: arm.weight_bp for arm in route.arms}
            assert weights.get(rollout.candidate, 0) == shares[0]
        assert (route.shadow.share_bp if route.shadow else 0) == shares[1]
        assert (route.judged.rollout if route.judged else "") == (rollout.id if any(shares) else "")
    assert all(rollout.state.over for rollout in rollouts[:-1])
    entries = registry.audit(limit=10**6)
    about = Counter(entry.resource for entry in entries)
    for rollout in rollouts:
        changes = registry.rollout_changes(rollout.id)
        assert about[f"rollouts/{rollout.id}"] == len(changes) == rollout.number
    assert about["models/credit/route"] == route.generation
    assert len(entries) == 2 + route.generation + sum(rollout.number for rollout in rollouts)
    assert registry.verify_audit() is None


def end(registry: Registry) -> None:
    """Whatever was going on can be ended."""
    for rollout in registry.rollouts("credit", active_only=True):
        after = replace(rollout, number=rollout.number + 1, state=RolloutState.ROLLED_BACK)
        registry.change_rollout(rollout, after, "end", "{}", "ada", NOTHING)
    check(registry)


def _write_until_killed(data: Path, seconds: float) -> list[str]:
    """What a writer acknowledged before it was killed, some time after it was ready."""
    with subprocess.Popen(
        [sys.executable, "-c", FOR_EVER, str(data)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        deadline = time.monotonic() + seconds
        lines: list[str] = []
        # A disk may take longer for one change than there is time.
        while len(lines) < 2 or time.monotonic() < deadline:
            lines.append(writer.stdout.readline())
        writer.kill()
        lines += writer.stdout.readlines()
    return [line for line in lines if line.endswith("\n")]


@POINTS
def test_killed_at_any_step_it_is_whole_or_not_at_all(
    data: Path, tmp_path: Path, points: int
) -> None:
    """At so many of SQLite's own steps, from the first of three rollouts to the last of them."""
    folder = tmp_path / "killed"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(data), str(folder), str(points)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    steps, *signals = map(int, done.stdout.splitlines())
    assert steps > points
    assert signals == [signal.SIGKILL] * points
    reached = []
    for number in range(points):
        with closing(Registry.open(folder / str(number), Verify())) as registry:
            check(registry)
            reached.append(len(registry.audit(limit=1000)))
            end(registry)
        shutil.rmtree(folder / str(number))
    # They were killed on the way, not all at one place.
    assert reached == sorted(reached)
    assert len(set(reached)) > 10


@KILLS
def test_killed_at_any_time_it_has_what_it_acknowledged(data: Path, kills: int) -> None:
    """Also in the middle of what the operating system does; each start goes on from there."""
    random = np.random.default_rng(20260101)
    acknowledged = 0
    for _ in range(kills):
        lines = _write_until_killed(data, random.uniform(0.0, 0.2))
        with closing(Registry.open(data, Verify())) as registry:
            for rollout_id, number in (line.split() for line in lines):
                assert registry.rollout(rollout_id).number >= int(number)
            check(registry)
            end(registry)
        acknowledged += len(lines)
    assert acknowledged > kills
    shutil.rmtree(data)
