"""What holds for all tests."""

from __future__ import annotations

import signal

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

# Nor is how fast examples are drawn or tried a promise of what they are tried on.
settings.register_profile("weir", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("weir")
