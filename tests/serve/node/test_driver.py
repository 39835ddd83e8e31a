"""The driver says why it could not start, and leaves the whole of it in the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import BadInput
from configs.settings import Settings
from serve.node.driver import _sentence

_FAILS = """
import sys
from pathlib import Path
from serve.node import driver

def fails(settings, run_dir):
    raise Exception("The node timed out\\n\\nduring startup.\\n")

driver._start = fails
driver._bounded = lambda work, seconds: sys.stdin.read()  # It takes its time to end.
driver.main(Path(sys.argv[1]), int(sys.argv[2]))
"""


def test_whoever_hears_that_it_failed_finds_the_reason_in_the_log(tmp_path: Path) -> None:
    """Though the driver is ended at once: what it was about to write is lost with it."""
    (tmp_path / "settings.json").write_text(Settings().model_dump_json())
    read, write = os.pipe()
    with (tmp_path / "log").open("wb") as log, os.fdopen(read) as status:
        driver = subprocess.Popen(
            [sys.executable, "-c", _FAILS, str(tmp_path), str(write)],
            stdin=subprocess.PIPE,
            stderr=log,
            pass_fds=(write,),
        )
        os.close(write)
        said = status.readline().strip()
        driver.kill()
        driver.communicate()

    assert said == "error: the gateway did not start: Exception: during startup."
    written = (tmp_path / "log").read_text()
    assert "Traceback" in written
    assert "The node timed out" in written


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadInput("no such port"), "no such port"),
        (RuntimeError(""), "the gateway did not start: RuntimeError"),
        (RuntimeError("x" * 999), f"the gateway did not start: RuntimeError: {'x' * 300}"),
    ],
)
def test_the_reason_is_one_line(error: Exception, said: str) -> None:
    """In our own words where they are ours."""
    assert _sentence(error) == said
