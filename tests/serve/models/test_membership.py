"""One certificate for all processes of a gateway, however many ask for it at once."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from configs.settings import Links
from serve.models import authority
from serve.models.certificates import Certificate
from serve.models.membership import Membership

_TOGETHER_S = 0.3


def test_two_that_ask_at_once_are_given_the_same_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits for the first one's: it neither makes another nor is refused."""
    both, made, times = threading.Barrier(2), authority.made, []

    def slowly() -> Certificate:
        times.append(1)
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(_TOGETHER_S)  # For the other one, if nothing keeps it out.
        return made()

    monkeypatch.setattr(authority, "made", slowly)
    membership = Membership(Links(), tmp_path)

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(membership.certificate) for _ in range(2)]
        first, second = (each.result(10) for each in asked)

    assert first == second
    assert len(times) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
