"""When a batch that is out counts as lost on a replica that hangs.

A process that hangs and a model that runs long look alike from afar. What tells them apart is a
ping, which a host answers on its loop while the model runs in a thread.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from serve.models.pace import Usual

_SUSPICIOUS = 10
"""So many times the longest run of late is no run any more."""
_FLOOR_S = 1.0
_LATE_FLOOR_S = 0.1
_SILENT_S = 1.0
_SILENT_AT_FIRST_S = 10.0
"""The first run of a model may hold up the host's loop: nobody knows yet that it is long."""
_STUCK = 100
_STUCK_FLOOR_S = 10.0
_RETRY_S = 0.15
"""What a second try needs at least: the watch looks ten times a second."""


class Out(NamedTuple):
    """A batch that is out: for how long, its rows, the time left to its first deadline.

    `silent_s` is how long ago a ping was sent that has no answer yet, None if there is no such.
    """

    seconds: float
    rows: int
    left_s: float
    silent_s: float | None


class Verdict(Enum):
    """What to do about a batch that is out."""

    WAIT = auto()
    PING = auto()
    LATE = auto()
    HUNG = auto()


def judge(out: Out, usual: Usual | None) -> Verdict:
    """Say whether to wait, to ask whether the replica lives, or to take the batch as lost.

    The replica hangs when it leaves a ping unanswered, or when a run takes a hundred times what
    the longest of late took. A run is late when it takes ten times that and no more time than a
    second try needs is left.
    """
    if usual is None:
        return _by_silence(out, _SILENT_AT_FIRST_S)
    long = usual.longest_of(out.rows)
    if out.seconds < max(_SUSPICIOUS * long, _LATE_FLOOR_S):
        return Verdict.WAIT
    if out.left_s <= max(_RETRY_S, 3 * usual.median_s):
        return Verdict.LATE
    if out.seconds > max(_STUCK * long, _STUCK_FLOOR_S):
        return Verdict.HUNG
    return _by_silence(out, _SILENT_S)


def _by_silence(out: Out, patience_s: float) -> Verdict:
    if out.seconds < _FLOOR_S:
        return Verdict.WAIT
    if out.silent_s is None:
        return Verdict.PING
    return Verdict.HUNG if out.silent_s > patience_s else Verdict.WAIT
