"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A runner that a script started in the background ignores Ctrl-C, and so would every process
    # that the tests start and then interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Five seconds are for people. On a machine that others use a test waits longer, and says so only
# where what it is about is the waiting.
for _phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, _phase, 30.0)

# Nor is how fast examples are drawn or tried a promise of what they are tried on. They are the same
# in every run, so that a run fails for what was changed; who looks for more says so.
settings.register_profile(
    "weir",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="WEIR_EXPLORE" not in os.environ,
)
settings.load_profile("weir")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have our own client be as patient, where a test has loaded it: two seconds are for people.

    It takes a second and a half to import, which tests that do not use it are spared.
    """
    loaded = sys.modules.get("serve.control.connection")
    if loaded is not None:
        vars(loaded)["CONNECT_S"] = 30.0
