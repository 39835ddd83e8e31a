"""The `weir` command as a whole: help, errors, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from serve.cli.main import COMMANDS, main
from tests.cli.conftest import Weir
from tests.control.serving import Api
from tests.tools.ports import free_port

ROOT = Path(__file__).parents[2]
OURS = [name for name in COMMANDS if name not in ("up", "demo")]


def test_help_lists_every_command_and_imports_none() -> None:
    """`weir --help` is quick because nothing heavy is loaded for it."""
    code = (
        "import sys\n"
        "from serve.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'ray', 'onnxruntime', 'pyarrow', 'numpy', 'httpx', 'fastapi', 'pydantic'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", OURS)
def test_the_list_says_what_the_command_says(name: str) -> None:
    """The line in the list is the beginning of the command's own help."""
    shown = CliRunner().invoke(main, [name, "--help"]).output

    assert COMMANDS[name].line.rstrip(".") in " ".join(shown.split())


def test_a_missing_gateway_is_one_line() -> None:
    """No traceback, a sentence that helps, and 1."""
    url = f"http://127.0.0.1:{free_port()}"

    done = subprocess.run(
        [sys.executable, "-m", "serve.cli.main", "models", "--url", url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"weir: no gateway answers at {url}; start one with `weir up`\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        pytest.param(["nothing"], "No such command 'nothing'", id="command"),
        pytest.param(["route"], "Missing argument 'NAME'", id="argument"),
        pytest.param(["models", "--wrong"], "No such option", id="option"),
        pytest.param(["promote", "credit", "0", "--reason", "x"], "'VERSION'", id="range"),
        pytest.param(["promote", "credit", "2"], "--reason", id="required"),
        pytest.param(["register", "credit", "/nowhere.onnx"], "does not exist", id="file"),
    ],
)
def test_wrong_usage_is_one_line_and_2(args: list[str], words: str) -> None:
    """What was typed wrong, and where to read on."""
    result = CliRunner().invoke(main, args)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("weir: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert "--help" in result.stderr


def test_no_arguments_show_the_help() -> None:
    """Who types only `weir` learns what there is."""
    assert "Commands:" in CliRunner().invoke(main, []).output


def test_an_error_of_the_gateway_is_one_line(weir: Weir) -> None:
    """The sentence of the gateway, and 1."""
    result = weir("route", "nobody")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "weir: no model 'nobody' is registered\n"


def test_a_surprise_of_the_gateway_is_one_line(weir: Weir, api: Api, tmp_path: Path) -> None:
    """A sentence with line breaks still is one line."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"this is\nno model")

    result = weir("register", "credit", str(path))

    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert api.control.registered == {}
