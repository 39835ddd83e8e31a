"""A panel weighs all monitors together, and survives the failure of one."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from configs.errors import NotFound, Refused
from configs.settings import AlarmMode, Monitors
from monitors import panel as panels
from monitors.blocks import SampleBlock
from monitors.detectors import DETECTORS, Registered
from monitors.panel import Panel
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, State, Verdict
from registry.card import Card
from registry.signature import Signature
from tests.monitors.samples import CARD, SIGNATURE, block, close, columns, profile

SETTINGS = Monitors()
MOVED = {
    ("input_drift", "age"),
    ("prediction_drift", "score"),
    ("prediction_drift", "decision"),
    ("row_drift", "rows"),
}
"""What alarms when ages, and so scores, have moved."""


def by_subject(panel: Panel) -> dict[tuple[str, str], Signal]:
    """The panel's signals by name and subject."""
    return {(signal.name, signal.subject): signal for signal in panel.signals()}


def drifted(rows: int, role: str = "stable") -> SampleBlock:
    """A block whose ages, and so whose scores, have moved."""
    return block(columns(np.random.default_rng(1), rows, shift=1.0), role=role)


def test_a_change_is_found_where_it_is() -> None:
    """The moved feature, the score and the decision alarm; others do not; all have spoken."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    panel.update(drifted(400))
    signals = by_subject(panel)
    alarms = {key for key, signal in signals.items() if signal.verdict is Verdict.ALARM}
    assert alarms == MOVED
    assert ("missing_values", "town") in signals
    assert ("selection_rate", "sex=f") in signals
    assert panel.failures == 0


def test_missing_values_are_found() -> None:
    """A twentieth of values missing where none were alarms within 400 rows."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    rows = columns(np.random.default_rng(1), 400)
    rows["debt"][::20] = np.nan
    panel.update(block(rows))
    signal = by_subject(panel)["missing_values", "debt"]
    assert signal.verdict is Verdict.ALARM
    assert signal.value == pytest.approx(0.05, abs=0.02)


def test_a_change_of_categories_is_found() -> None:
    """A new category takes a quarter of the rows, and is named as unseen."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    rows = columns(np.random.default_rng(1), 400)
    rows["town"][::4] = "elsewhere"
    panel.update(block(rows))
    signal = by_subject(panel)["input_drift", "town"]
    assert signal.verdict is Verdict.ALARM
    assert "(unseen)" in signal.message


def test_evidence_without_effect_pages_nobody() -> None:
    """Under one percent of values missing where none were is certain, and too small to matter."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0), 20_000), SETTINGS)
    rows = columns(np.random.default_rng(1), 6000)
    rows["debt"][::120] = np.nan
    panel.update(block(rows))
    signal = by_subject(panel)["missing_values", "debt"]
    assert (signal.log10_evidence or 0) > 4
    assert signal.verdict is Verdict.OK
    assert "too small" in signal.message


def test_effect_without_evidence_pages_nobody() -> None:
    """A budget so small that 100 rows cannot reach it: a large shift stays ok."""
    stingy = Monitors(alarm_budget=1e-60)
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), stingy)
    panel.update(drifted(100))
    signal = by_subject(panel)["input_drift", "age"]
    assert (signal.lower or 0) > 0.5
    assert signal.verdict is Verdict.OK


def test_enough_evidence_alone_may_not_be_enough_together() -> None:
    """An e-value between 1/budget and m/budget does not alarm in a panel of m subjects."""
    reference = profile(np.random.default_rng(0))
    panel = Panel(CARD, SIGNATURE, reference, SETTINGS)
    found = []
    for at in range(0, 600, 10):
        rows = columns(np.random.default_rng(at + 1), 10, shift=0.4)
        panel.update(block(rows, first=at))
        found.append(by_subject(panel)["input_drift", "age"])
    for signal in found:
        if signal.verdict is Verdict.ALARM:
            break
        assert (signal.log10_evidence or 0) < np.log10(7 / SETTINGS.alarm_budget)
    assert any("among all" in signal.message for signal in found)
    assert found[-1].verdict is Verdict.ALARM


def test_an_alarm_stands_until_the_reference_is_replaced() -> None:
    """The feature comes back to where it was; the alarm that was read does not go away."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    panel.update(drifted(300))
    assert by_subject(panel)["input_drift", "age"].verdict is Verdict.ALARM
    panel.update(block(columns(np.random.default_rng(2), 20_000), first=300))
    assert by_subject(panel)["input_drift", "age"].verdict is Verdict.ALARM


AGE = ("drift", "input_drift", "age")


def test_an_alarm_that_is_armed_anew_needs_new_evidence() -> None:
    """It is ok until the feature drifts again, and then stands at its second arming."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    panel.update(drifted(300))
    panel.signals()
    assert panel.standing()[AGE] == 1

    panel.rearm(AGE)
    panel.update(block(columns(np.random.default_rng(2), 500), first=1000))
    assert by_subject(panel)[AGE[1:]].verdict is Verdict.OK
    assert AGE not in panel.standing()

    panel.update(drifted(500))
    assert by_subject(panel)[AGE[1:]].verdict is Verdict.ALARM
    assert panel.standing()[AGE] == 2


def test_a_later_arming_needs_more_evidence() -> None:
    """At the tenth arming, evidence that was enough at the first is not."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    for _ in range(9):
        panel.rearm(AGE)
    fresh = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    first: dict[int, int] = {}
    for at in range(0, 600, 10):
        rows = block(columns(np.random.default_rng(at + 1), 10, shift=0.7), first=at)
        for number, each in enumerate((fresh, panel)):
            each.update(rows)
            if by_subject(each)[AGE[1:]].verdict is Verdict.ALARM:
                first.setdefault(number, at)
    assert first[0] < first[1]


def test_what_is_not_watched_cannot_be_armed() -> None:
    """A misspelt subject, or one without evidence, is not found."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    for key in (("drift", "input_drift", "aeg"), ("fairness", "selection_rate", "sex=unknown")):
        with pytest.raises(NotFound, match=key[2]):
            panel.rearm(key)


def test_a_panel_goes_on_from_its_state() -> None:
    """Alarms stand, armings count, and evidence grows from where it was."""
    reference = profile(np.random.default_rng(0))
    first = Panel(CARD, SIGNATURE, reference, SETTINGS)
    first.update(drifted(300))
    first.signals()
    first.rearm(("quality", "missing_values", "age"))

    second = Panel(CARD, SIGNATURE, reference, SETTINGS)
    second.restore(first.state())

    assert close(second.signals(), first.signals())
    assert second.standing() == first.standing()
    for panel in (first, second):
        panel.update(block(columns(np.random.default_rng(2), 5000), first=300))
    assert close(second.signals(), first.signals())
    assert by_subject(second)[AGE[1:]].verdict is Verdict.ALARM
    with pytest.raises(ValueError, match="not the state of a panel"):
        second.restore({})


def test_important_features_need_less_evidence() -> None:
    """A feature of a hundred times the importance of the others alarms before they would."""
    reference = profile(np.random.default_rng(0))
    features = tuple(
        each.model_copy(update={"importance": 100.0 if each.name == "age" else 1.0})
        for each in CARD.features
    )
    cards = (CARD, CARD.model_copy(update={"features": features}))
    first: dict[int, int] = {}
    panels_ = [Panel(card, SIGNATURE, reference, SETTINGS) for card in cards]
    for at in range(0, 600, 10):
        rows = block(columns(np.random.default_rng(at + 1), 10, shift=0.3), first=at)
        for number, each in enumerate(panels_):
            each.update(rows)
            if by_subject(each)[AGE[1:]].verdict is Verdict.ALARM:
                first.setdefault(number, at)
    assert first[1] < first[0]


def test_in_the_detector_mode_it_finds_the_same_change() -> None:
    """Rows of many minutes, clean and then moved: an alarm in the moved feature only."""
    settings = Monitors(alarm_mode=AlarmMode.DETECTOR, false_alarm_days=30)
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), settings)
    for minute in range(120):
        shift = 0.0 if minute < 100 else 1.0
        rows = block(columns(np.random.default_rng(minute), 20, shift), first=20 * minute)
        panel.update(replace(rows, made_at=60.0 * minute))
        alarms = {key for key, each in by_subject(panel).items() if each.verdict is Verdict.ALARM}
        assert not alarms or minute >= 100
    assert alarms - {("out_of_range", "age")} == MOVED


def test_pinned_requests_are_not_judged() -> None:
    """Blocks of the role `pinned` leave the panel as it was; `shadow` is judged like any."""
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    before = panel.signals()
    panel.update(drifted(300, role="pinned"))
    assert panel.signals() == before
    panel.update(drifted(300, role="shadow"))
    assert panel.signals() != before


class Broken:
    """A detector that works until it meets a row."""

    def __init__(self, card: Card, reference: ReferenceProfile | None, settings: Monitors) -> None:
        pass

    def update(self, block: SampleBlock) -> None:
        """Fail."""
        raise ZeroDivisionError(f"oh no: {block.rows}")

    def signals(self) -> tuple[Signal, ...]:
        """One subject with evidence."""
        return (Signal("drift", "broken", "it", Verdict.INSUFFICIENT_DATA, 0, log10_evidence=0.0),)

    def rearm(self, subject: str) -> None:
        """Do nothing."""

    def state(self) -> State:
        """Remember nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Recall nothing."""


BROKEN = Registered("drift", "broken", Broken)


def test_a_broken_detector_does_not_take_the_others_with_it(monkeypatch: Any) -> None:
    """Its subjects become errors with the reason, once counted; the others go on."""
    monkeypatch.setattr(panels, "detectors", lambda _: (BROKEN, *DETECTORS))
    panel = Panel(CARD, SIGNATURE, profile(np.random.default_rng(0)), SETTINGS)
    for _ in range(2):
        panel.update(drifted(300))
    signals = by_subject(panel)
    assert signals["broken", "it"].verdict is Verdict.ERROR
    assert "ZeroDivisionError in test_panel.py, line" in signals["broken", "it"].message
    assert "oh no" not in signals["broken", "it"].message
    assert signals["input_drift", "age"].verdict is Verdict.ALARM
    assert panel.failures == 1


def test_a_detector_whose_state_cannot_be_had_does_not_stop_the_keeping(monkeypatch: Any) -> None:
    """It becomes an error, whether it fails to give its state or to take one; others go on."""

    class Forgetful(Broken):
        def update(self, block: SampleBlock) -> None:
            """Take nothing in."""

        def state(self) -> State:
            """Fail, as nobody is told to."""
            raise ZeroDivisionError

    class Stubborn(Forgetful):
        def state(self) -> State:
            """Remember something."""
            return {"it": np.zeros(1)}

        def restore(self, state: State) -> None:
            """Fail in another way than the protocol says."""
            raise ZeroDivisionError(len(state))

    reference = profile(np.random.default_rng(0))
    for kind in (Forgetful, Stubborn):
        broken = Registered("drift", "broken", kind)
        monkeypatch.setattr(panels, "detectors", lambda _, one=broken: (one, *DETECTORS))
        panel = Panel(CARD, SIGNATURE, reference, SETTINGS)
        panel.update(drifted(300))
        panel.signals()
        panel.state()
        again = Panel(CARD, SIGNATURE, reference, SETTINGS)
        again.restore(panel.state())
        assert again.standing() == panel.standing()
        failed = panel if kind is Forgetful else again
        assert by_subject(failed)["broken", "it"].verdict is Verdict.ERROR
        assert failed.failures == 1


def test_without_a_reference_signals_say_how_to_give_one() -> None:
    """Drift and quality are insufficient with advice; selection rates work all the same."""
    panel = Panel(CARD, SIGNATURE, None, SETTINGS)
    panel.update(drifted(2000))
    signals = by_subject(panel)
    assert "--reference" in signals["input_drift", "age"].message
    assert "--reference" in signals["missing_values", "age"].message
    assert signals["input_drift", "age"].verdict is Verdict.INSUFFICIENT_DATA
    assert signals["selection_rate", "sex=f"].rows > 0


def test_a_card_that_does_not_fit_the_model_is_refused() -> None:
    """A feature in an input that the model lacks is found at once."""
    strange = Signature(inputs=SIGNATURE.inputs[:1], outputs=SIGNATURE.outputs)
    with pytest.raises(Refused, match="town"):
        Panel(CARD, strange, None, SETTINGS)


@pytest.mark.slow
def test_no_change_raises_no_alarm_over_many_streams() -> None:
    """30 panels of 7 watched subjects, 1,000 clean rows each, a budget of 10 %: few alarm."""
    loose = Monitors(alarm_budget=0.1)
    alarms = 0
    for seed in range(30):
        rng = np.random.default_rng([11, seed])
        panel = Panel(CARD, SIGNATURE, profile(rng, 500), loose)
        for at in range(0, 1000, 250):
            fresh = block(columns(rng, 250), first=seed * 1000 + at)
            panel.update(fresh)
            watched = [s for s in panel.signals() if s.log10_evidence is not None]
        alarms += any(signal.verdict is Verdict.ALARM for signal in watched)
    assert alarms <= 9


def test_a_detector_that_fails_while_read_is_an_error(monkeypatch: Any) -> None:
    """A failure in `signals` is caught like one in `update`."""

    class Mute(Broken):
        said = 0

        def update(self, block: SampleBlock) -> None:
            """Take nothing in."""

        def signals(self) -> tuple[Signal, ...]:
            """Speak once."""
            self.said += 1
            if self.said > 1:
                raise KeyError("lost")
            return super().signals()

    mute = Registered("drift", "broken", Mute)
    monkeypatch.setattr(panels, "detectors", lambda _: (mute,))
    panel = Panel(CARD, SIGNATURE, None, SETTINGS)
    (signal,) = panel.signals()
    assert signal == replace(signal, verdict=Verdict.ERROR)


@pytest.mark.parametrize(
    ("log10_e", "needed", "verdict"),
    [
        (3.0, 7, Verdict.ALARM),
        (2.05, 7, Verdict.INSUFFICIENT_DATA),
        (2.05, None, Verdict.OK),
    ],
)
def test_an_alarm_that_lacks_evidence_is_what_its_detector_can_tell(
    monkeypatch: Any, log10_e: float, needed: int | None, verdict: Verdict
) -> None:
    """Not ok, if it says how many rows more would be enough; with enough evidence none are."""

    class Sure(Broken):
        def signals(self) -> tuple[Signal, ...]:
            """Be sure."""
            return (
                Signal(
                    "drift",
                    "broken",
                    "it",
                    Verdict.ALARM,
                    10,
                    log10_evidence=log10_e,
                    rows_needed=needed,
                ),
            )

    monkeypatch.setattr(panels, "detectors", lambda _: (Registered("drift", "broken", Sure),))
    (signal,) = Panel(CARD, SIGNATURE, None, SETTINGS).signals()
    assert signal.verdict is verdict
    assert signal.rows_needed == (None if verdict is Verdict.ALARM else needed)
