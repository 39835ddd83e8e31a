"""`weir simulate`: what a policy would do, before it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from configs.errors import Refused
from configs.policy import EVENTS, Metric, Policy
from serve.cli.options import gateway

if TYPE_CHECKING:
    from serve.control.client import ControlClient
    from serve.rollout.simulation.outcomes import Outcomes, Share
    from serve.rollout.simulation.setting import Setting
    from serve.rollout.simulation.traffic import Traffic

_METRIC = click.Choice([each.value for each in EVENTS])
_RATE = click.FloatRange(0, 1e5, min_open=True)
_TIMES = click.FloatRange(1, 1e4)
_SHARE = click.FloatRange(0, 0.5)
_HOURS = click.FloatRange(0.1, 240)


@click.command()
@click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A policy in YAML. What it leaves out is as built in, not as a gateway is configured.",
)
@click.option("--recorded", metavar="NAME", help="Replay the recorded rollouts of this model.")
@click.option("--rate", type=_RATE, default=20.0, show_default=True, help="Requests a second.")
@click.option("--worse", type=_TIMES, default=10.0, show_default=True, help="Times as many events.")
@click.option(
    "--metric", type=_METRIC, default=EVENTS[0].value, show_default=True, help="Of which kind."
)
@click.option("--base", type=_SHARE, help="Their share with the stable version.")
@click.option("--after", type=click.FloatRange(0), default=0.0, help="Minutes until harm begins.")
@click.option("--calm", is_flag=True, help="No waves, incidents, outages, sticky units or pauses.")
@click.option(
    "--rollouts",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    help="How many to play.",
)
@click.option(
    "--hours", type=_HOURS, default=6.0, show_default=True, help="How long each takes at most."
)
@click.option("--seed", type=click.IntRange(0), default=1, help="The same seed, the same traffic.")
@gateway
def simulate(
    policy_file: Path | None,
    recorded: str | None,
    client: ControlClient,
    **asked: Any,
) -> None:
    """Say how often a policy errs and how soon it finds harm.

    Beside it stand the rules of other tools, in the same traffic.

    \b
    weir simulate --policy careful.yaml                  a version that is the same, and a bad one
    weir simulate --rate 0.5 --worse 3 --metric latency_over_slo
    weir simulate --policy careful.yaml --recorded credit    what it would have done with the past

    The policy that is configured for a model: weir rollout start NAME VERSION --dry-run --json

    Rules of other tools are implemented from their documents: see docs/simulating.md.
    """  # noqa: D301 - the marker that keeps these lines apart
    policy = _policy(policy_file)
    left_out = sorted(Policy.model_fields.keys() - policy.model_fields_set)
    if left_out:
        click.echo(f"As built in, not as any gateway is configured: {', '.join(left_out)}.\n")
    if recorded is not None:
        _replay(policy, recorded, client)
        return
    _simulate(policy, _Asked(**asked))


def _policy(file: Path | None) -> Policy:
    from pydantic import ValidationError  # noqa: PLC0415 - so that help need not wait for it

    from configs.errors import ConfigError  # noqa: PLC0415
    from configs.explain import explain  # noqa: PLC0415
    from configs.load import read_yaml  # noqa: PLC0415

    try:
        return Policy.model_validate(read_yaml(file) if file is not None else {})
    except ValidationError as error:
        message = f"{file}: {explain(error, Policy)}"
        raise ConfigError(message) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be simulated, as the options say."""

    rate: float
    worse: float
    metric: str
    base: float | None
    after: float
    calm: bool
    rollouts: int
    hours: float
    seed: int

    @property
    def setting(self) -> Setting:
        from serve.rollout.simulation.setting import Setting  # noqa: PLC0415

        return Setting(
            rollouts=self.rollouts,
            horizon_s=self.hours * 3600,
            tick_s=30.0,
            seed=self.seed,
            pauses=0.0 if self.calm else 0.3,
        )

    @property
    def worlds(self) -> dict[str, Traffic]:
        """The traffic of each kind of version, by what it is."""
        from serve.rollout.simulation.traffic import ROUGH, Traffic  # noqa: PLC0415

        of = Metric(self.metric)
        same = replace(Traffic() if self.calm else ROUGH, rate=self.rate)
        if self.base is not None:
            same = replace(same, base={**same.base, of: self.base})
        worlds = {"A version that is the same": same}
        if self.worse > 1:
            later = f", after {self.after:g} minutes" if self.after else ""
            name = f"A version with {self.worse:g} times as much {of.value}{later}"
            worlds[name] = replace(same, worse={of: self.worse}, harm_from_s=self.after * 60)
        return worlds


def _simulate(policy: Policy, asked: _Asked) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415
    from serve.rollout.simulation.compare import side_by_side  # noqa: PLC0415

    out = console()
    for name, world in asked.worlds.items():
        told = f"{name}: {asked.rollouts:,} rollouts, {asked.rate:g} requests a second"
        out.print(line(told, "bold"))
        outcomes = side_by_side(policy, world, asked.setting)
        headers = ("RULE", "ROLLED BACK", "PROMOTED", "NEITHER", "MINUTES", "EXPOSED", "BAD")
        out.print(table(headers, map(_row, outcomes)))
        out.print()
    out.print(line("Shares with their one-sided 95 % upper bounds; the rest are medians, of"))
    out.print(line("requests that the candidate answered before the end, and of its bad events."))


def _row(one: Outcomes) -> tuple[str, ...]:
    from serve.rollout.simulation.outcomes import End  # noqa: PLC0415

    out, promoted = one.share(End.ROLLED_BACK), one.share(End.PROMOTED)
    neither = one.share(End.OPEN).value + one.share(End.HELD).value
    return (
        one.rule,
        _bounded(out),
        _bounded(promoted),
        f"{neither:.1%}",
        f"{one.median_after_s() / 60:.0f}",
        f"{one.median_exposed():,.0f}",
        f"{one.median_bad():,.0f}",
    )


def _bounded(share: Share) -> str:
    return f"{share.value:.1%} (at most {share.upper():.1%})"


def _replay(policy: Policy, model: str, client: ControlClient) -> None:
    from datetime import datetime  # noqa: PLC0415

    from serve.cli.printing import console, table  # noqa: PLC0415
    from serve.rollout.simulation.replay import RecordedChange, replay  # noqa: PLC0415

    rows = []
    for rollout in client.rollouts(model):
        changes = [
            RecordedChange(datetime.fromisoformat(each.at), each.step, each.evidence)
            for each in client.rollout_changes(rollout.id)
        ]
        try:
            would = replay(policy, changes)
        except ValueError as error:
            message = f"what rollout {rollout.id} has kept cannot be read: {error}"
            raise Refused(message) from None
        after = f"{would.after_s / 60:.0f} min"
        was = rollout.state.value
        rows.append(
            (rollout.id, str(rollout.candidate), was, would.would.value, after, would.reason)
        )
    headers = ("ROLLOUT", "VERSION", "IS", "THIS POLICY WOULD HAVE", "BY", "WHY")
    console().print(table(headers, rows))
