"""What holds for all tests."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A runner that a script started in the background ignores Ctrl-C, and so would every process
    # that the tests start and then interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
