"""`weir up`: the gateway, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="A YAML file with settings.")
@click.option("--data", type=click.Path(path_type=Path), help="Where state lives [.weir].")
def up(config: Path | None, data: Path | None) -> None:
    """Start the gateway and keep it in the foreground; Ctrl-C drains and ends it."""
    from configs.load import load_settings  # noqa: PLC0415 - `weir --help` must be quick
    from serve.node.supervisor import Started, supervise  # noqa: PLC0415

    def tell(started: Started) -> None:
        click.echo(f"weir is ready after {started.seconds:.1f} s")
        click.echo(f"  inference  {started.http}/v2")
        click.echo(f"  gRPC       {started.grpc}")
        click.echo(f"  control    {started.control}/docs")
        click.echo(f"  metrics    {started.control}/metrics")
        click.echo("Ctrl-C ends it.")

    settings = load_settings(config, {"data": data} if data is not None else {})
    if settings.monitors.detectors:
        from monitors.detectors import detectors  # noqa: PLC0415 - slow, and seldom needed

        detectors(settings.monitors)  # so that one that cannot be had is told of before the start
    click.echo(f"weir is starting on {settings.data} ...")
    supervise(settings, tell)
