"""`weir register`: from an ONNX file to a version with a number."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serve.cli.options import as_json, gateway

if TYPE_CHECKING:
    from registry.signature import TensorSpec
    from serve.control.client import ControlClient
    from serve.control.prepare import Prepared, Progress
    from serve.control.schemas import VersionView

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("name")
@click.argument("model", type=_FILE)
@click.option("--reference", type=_FILE, help="Rows to compare with: Parquet, CSV, Arrow or NumPy.")
@click.option("--card", type=_FILE, help="What the version declares about itself: a YAML file.")
@gateway
@as_json
def register(
    name: str,
    model: Path,
    reference: Path | None,
    card: Path | None,
    client: ControlClient,
    as_json: bool,
) -> None:
    """Make an ONNX file a model's next version.

    The file is checked in a process of its own; what the card does not say is inferred where that
    is safe, and refused where it would be a guess. The reference rows stay on this machine: what is
    sent is a profile of them. The new version gets no traffic yet.
    """
    from configs.settings import Verify  # noqa: PLC0415
    from serve.cli.printing import print_json  # noqa: PLC0415
    from serve.control.prepare import Files, prepare  # noqa: PLC0415

    client.models()  # so that nobody waits for a profile that has nowhere to go
    with _progress() as progress:
        prepared = prepare(Files(model, reference, card), Verify(), progress)
        progress("sending", None)
        profile = client.upload(prepared.profile.to_json()) if prepared.profile else None
        artifact = client.upload(model)
        progress("registering", None)
        made = client.register(name, artifact, prepared.card, profile)
    if as_json:
        print_json(made)
    else:
        _print_summary(
            made.version, prepared, tuple(dict.fromkeys((*prepared.inferred, *made.inferred)))
        )


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on a terminal's standard error while the block runs; silent elsewhere."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20))
    on_terminal = sys.stderr.isatty()
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not on_terminal
    ) as bar:
        task = bar.add_task("", total=None)

        def show(doing: str, share: float | None) -> None:
            bar.update(task, description=doing, total=None if share is None else 1.0)
            bar.update(task, completed=share or 0.0)

        yield show


def _print_summary(made: VersionView, prepared: Prepared, inferred: tuple[str, ...]) -> None:
    from serve.cli.printing import console, line, table  # noqa: PLC0415

    profile = prepared.profile
    watched = ""
    if profile:
        rows = f"{prepared.rows_read:,} rows read, {profile.rows:,} kept"
        watched = f"{rows}, {len(profile.features)} features"
    facts = [
        ("task", made.card.task.value),
        ("inputs", _tensors(made.signature.inputs)),
        ("outputs", _tensors(made.signature.outputs)),
        ("model", f"{made.digest} ({made.size_bytes:,} bytes)"),
        ("profile", watched or "none: give --reference to have drift watched"),
        *(("inferred" if number == 0 else "", text) for number, text in enumerate(inferred)),
    ]
    out = console()
    out.print(line(f"Registered {made.model} version {made.version}.", "bold green"))
    out.print(table(("", ""), facts), soft_wrap=False)
    first = f"weir route {made.model} --set 1=100"
    following = f"weir rollout start {made.model} {made.version} --follow"
    out.print(line(f"It has no traffic yet. Next: {first if made.version == 1 else following}"))


def _tensors(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(
        f"{spec.name} {spec.datatype}[{', '.join('n' if d < 0 else str(d) for d in spec.shape)}]"
        for spec in specs
    )
