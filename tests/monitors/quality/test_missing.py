"""Missing values are compared with the share that was missing in the reference."""

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.profile.build import build_profile
from monitors.quality.missing import MissingValues
from monitors.signal import Signal, Verdict
from tests.monitors.samples import CARD, SIGNATURE, block, columns, model


def watch(reference_every: int, live_every: int) -> dict[str, Signal]:
    """The signals when every n-th age and town is missing in the reference and live."""
    rng = np.random.default_rng(0)
    tables = columns(rng, 4000), columns(rng, 800)
    for table, every in zip(tables, (reference_every, live_every), strict=True):
        # Places that have nothing to do with the halves of the reference.
        lost = rng.random(len(table["age"])) < 1 / every
        table["age"][lost] = np.nan
        table["town"][lost] = None
    detector = MissingValues(CARD, build_profile(CARD, SIGNATURE, tables[0], model), Monitors())
    detector.update(block(tables[1]))
    return {signal.subject: signal for signal in detector.signals()}


def test_the_same_share_is_ok() -> None:
    """A fifth missing then and now is nobody's alarm."""
    signals = watch(5, 5)
    assert {signal.verdict for signal in signals.values()} == {Verdict.OK}


@pytest.mark.parametrize(("before", "now"), [(10**9, 20), (3, 10**9)])
def test_more_and_fewer_are_both_changes(before: int, now: int) -> None:
    """From none to a twentieth, and from a third to none."""
    signals = watch(before, now)
    assert signals["age"].verdict is signals["town"].verdict is Verdict.ALARM
    assert signals["debt"].verdict is Verdict.OK
    assert signals["age"].value == pytest.approx(1 / now - 1 / before, abs=0.05)


def test_infinite_values_are_not_missing() -> None:
    """They are there, if not finite: another detector counts them."""
    detector = MissingValues(
        CARD,
        build_profile(CARD, SIGNATURE, columns(np.random.default_rng(1), 2000), model),
        Monitors(),
    )
    rows = columns(np.random.default_rng(2), 500)
    rows["age"][::3] = np.inf
    detector.update(block(rows))
    signals = {signal.subject: signal for signal in detector.signals()}
    assert (signals["age"].value, signals["age"].verdict) == (0.0, Verdict.OK)
