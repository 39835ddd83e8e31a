"""The `weir` command: a list of commands, each loaded only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import click
from click.exceptions import NoArgsIsHelpError

from configs.errors import Unauthenticated, WeirError
from serve.compiled import compiled


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is found (`module:name`), and its line in the list of commands."""

    place: str
    line: str


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("serve.cli.demo:demo", "The whole story on real data, on this machine."),
    "up": Entry("serve.cli.up:up", "Start the gateway in the foreground; Ctrl-C drains it."),
    "register": Entry("serve.cli.register:register", "Make an ONNX file a model's next version."),
    "models": Entry("serve.cli.models:models", "List models and how their traffic is split."),
    "versions": Entry("serve.cli.models:versions", "List the versions of a model."),
    "route": Entry("serve.cli.route:route", "Show how a model's traffic is split, or change it."),
    "promote": Entry("serve.cli.route:promote", "Give a version all of the traffic."),
    "rollout": Entry(
        "serve.cli.rollout:rollout", "Roll a version out on evidence, and steer it on its way."
    ),
    "rollback": Entry("serve.cli.route:rollback", "Return to the version that served before."),
    "load": Entry("serve.cli.load:load", "Serve a model again, or for the first time."),
    "unload": Entry("serve.cli.load:unload", "Serve a model no longer, and end its processes."),
    "signals": Entry(
        "serve.cli.signals:signals", "Say what the monitors see of every version, alarms first."
    ),
    "bins": Entry("serve.cli.bins:bins", "Say where a feature, a score or the decision has moved."),
    "feedback": Entry(
        "serve.cli.feedback:feedback", "Send the labels in FILE, and say what became of them."
    ),
    "labels": Entry(
        "serve.cli.labels:labels",
        "Say which predictions have their labels, and how late those come.",
    ),
    "explain": Entry(
        "serve.cli.explain:explain", "Say what each feature adds to the score of the rows in FILE."
    ),
    "alarms": Entry(
        "serve.cli.alarms:alarms",
        "List alarms, explain them, and acknowledge, silence or close them.",
    ),
    "training": Entry("serve.cli.training:training", "Take rows out of the training log."),
    "simulate": Entry(
        "serve.cli.simulate:simulate", "Say how often a policy errs and how soon it finds harm."
    ),
    "keys": Entry("serve.cli.keys:keys", "Make, list and revoke API keys."),
    "audit": Entry("serve.cli.audit:audit", "Read and check the log of all changes."),
}


class Commands(click.Group):
    """A group that imports a command when it is called, and says every error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.line) for name, entry in COMMANDS.items()])

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run; an error is one line on standard error and 1 (2 for usage, 130 for Ctrl-C)."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            code = run(*args, standalone_mode=False, **extra)
        except Unauthenticated as error:
            _fail(f"{error.message}: give one in WEIR_KEY, or with --key", 1)
        except WeirError as error:
            _fail(error.message, 1)
        except NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "weir"
            _fail(f"{error.format_message()} See: {path} --help", 2)
        except click.ClickException as error:
            _fail(error.format_message(), 1)
        except click.Abort:
            _fail("stopped", 130)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"weir: {' '.join(sentence.split())}", err=True)
    sys.exit(code)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(
    package_name="weir-gateway",
    prog_name="weir",
    message=f"%(prog)s, version %(version)s{' (compiled)' if compiled() else ''}",
)
def main() -> None:
    """Weir: every request passes through it, every model version is measured by it."""


if __name__ == "__main__":
    main(prog_name="weir")
