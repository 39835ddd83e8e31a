"""What every detector of data quality does: finds its fault, and is silent without one."""

from __future__ import annotations

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.quality.events import REGISTER_AGAIN, TOO_FEW
from monitors.quality.limits import KEPT_IN
from monitors.quality.out_of_range import OutOfRange
from monitors.quality.outliers import Outliers
from monitors.quality.repeated_rows import RepeatedRows
from monitors.quality.stuck import CONSTANT, StuckFeatures
from monitors.quality.unseen import LIST_CUT, UnseenCategories
from monitors.signal import Verdict
from registry.card import Policy
from tests.monitors.quality.watching import (
    CASES,
    Case,
    by_subject,
    clean,
    faulty,
    feed,
    reference,
    repeat,
)
from tests.monitors.samples import CARD, SIGNATURE, model
from tests.monitors.stats.fair import assert_alarms_within

SETTINGS = Monitors(alarm_budget=0.01 / 30)
"""What one of thirty subjects has."""

each_case = pytest.mark.parametrize("case", CASES, ids=lambda each: f"{each.name}-{each.subject}")


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    """The profile of 6,000 clean rows."""
    return reference(clean(0, 6000))


def delay(case: Case, profile: ReferenceProfile, share: float, seed: int) -> int:
    """Rows from the fault, after 1,000 clean ones, to the alarm; 10,000 without one."""
    detector = case.detector(CARD, profile, SETTINGS)
    feed(detector, clean(seed, 1000))
    table = faulty(case, seed + 1, 4000, share)
    for at in range(0, 4000, 50):
        some = {name: values[at : at + 50] for name, values in table.items()}
        feed(detector, some, 50, first=1000 + at)
        if by_subject(detector)[case.subject].verdict is Verdict.ALARM:
            return at + 50
    return 10_000


@each_case
def test_a_fault_in_one_row_of_twenty_is_found(case: Case, profile: ReferenceProfile) -> None:
    """Within 1,000 rows; in half of the rows within 400. Other subjects say nothing."""
    assert delay(case, profile, 0.05, 1) <= 1000
    assert delay(case, profile, 0.5, 2) <= 400
    detector = case.detector(CARD, profile, SETTINGS)
    feed(detector, faulty(case, 3, 3000, 0.05))
    others = {
        signal.verdict for name, signal in by_subject(detector).items() if name != case.subject
    }
    assert others <= {Verdict.OK}


@pytest.mark.parametrize("case", CASES[:7], ids=lambda each: f"{each.name}-{each.subject}")
def test_the_same_share_as_in_the_reference_is_ok(case: Case) -> None:
    """A fault that the reference has as often is no change.

    Repeats are another matter: the reference's rows are compared in an order of chance.
    """
    detector = case.detector(CARD, reference(faulty(case, 4, 6000, 0.05)), SETTINGS)
    feed(detector, faulty(case, 5, 3000, 0.05))
    assert by_subject(detector)[case.subject].verdict is Verdict.OK


@pytest.mark.parametrize("case", CASES[1:], ids=lambda each: f"{each.name}-{each.subject}")
@pytest.mark.slow
def test_clean_rows_keep_the_budget(case: Case) -> None:
    """The evidence alone, whatever the effect: 60 runs at a budget of 20 %, 400 reference rows."""

    def ever(seed: int) -> bool:
        detector = case.detector(CARD, reference(clean(2 * seed, 1400)), Monitors())
        alone = {
            name
            for name, signal in by_subject(detector).items()
            if signal.log10_evidence is not None
        }
        assert alone
        threshold = np.log10(len(alone) / 0.2)
        table = clean(2 * seed + 1, 2000)
        for at in range(0, 2000, 200):
            feed(detector, {k: v[at : at + 200] for k, v in table.items()}, 200, first=at)
            found = by_subject(detector)
            if any((found[name].log10_evidence or 0.0) >= threshold for name in alone):
                return True
        return False

    assert_alarms_within(0.2, 60, ever)


@each_case
def test_a_reference_of_one_row_is_too_few(case: Case) -> None:
    """It says so, takes rows, and alarms nobody."""
    detector = case.detector(CARD, reference(clean(6, 1)), SETTINGS)
    feed(detector, faulty(case, 7, 500, 0.5))
    signals = by_subject(detector).values()
    assert {signal.verdict for signal in signals} == {Verdict.INSUFFICIENT_DATA}
    assert {signal.message for signal in signals} == {TOO_FEW}


@each_case
@pytest.mark.parametrize("value", ["constant", "missing"])
def test_a_constant_or_empty_column_alarms_nobody(case: Case, value: str) -> None:
    """The same then and now, whatever it is: a verdict for every subject, and no alarm."""
    tables = clean(8, 3000), clean(9, 2000)
    for table in tables:
        table["age"][:] = 5.0 if value == "constant" else np.nan
        table["debt"][:] = 0.0 if value == "constant" else np.inf
        table["town"][:] = "here" if value == "constant" else None
    detector = case.detector(CARD, reference(tables[0]), SETTINGS)
    feed(detector, tables[1])
    signals = by_subject(detector)
    assert case.subject in signals
    assert Verdict.ALARM not in {signal.verdict for signal in signals.values()}
    assert Verdict.ERROR not in {signal.verdict for signal in signals.values()}


@pytest.mark.parametrize("detector", [Outliers, StuckFeatures, RepeatedRows])
def test_an_older_profile_asks_to_register_again(
    detector: type[Outliers | StuckFeatures | RepeatedRows], profile: ReferenceProfile
) -> None:
    """A profile without the counts is read, and what it lacks is said."""
    content = profile.model_dump(mode="json")
    del content["repeats"]
    for feature in content["features"].values():
        del feature["pairs"]
        if feature["kind"] == "numeric":
            del feature["fences"], feature["beyond"]
    older = ReferenceProfile.model_validate(content)
    made = detector(CARD, older, SETTINGS)
    feed(made, clean(10, 200))
    signals = made.signals()
    assert signals
    assert {signal.message for signal in signals} == {REGISTER_AGAIN}
    assert {signal.verdict for signal in signals} == {Verdict.INSUFFICIENT_DATA}


def test_a_feature_that_was_constant_cannot_be_stuck(profile: ReferenceProfile) -> None:
    """It is told so."""
    table = clean(11, 2000)
    table["debt"][:] = 1.0
    stuck = StuckFeatures(CARD, reference(table), SETTINGS)
    feed(stuck, clean(12, 200))
    assert by_subject(stuck)["debt"].message == CONSTANT


def test_a_category_that_becomes_rarer_or_more_frequent_is_not_stuck() -> None:
    """What drift of 0.04 does to equal pairs of a category's values pages nobody."""
    then, now = clean(13, 20_000), clean(14, 6000)
    rng = np.random.default_rng(15)
    for table, share in ((then, 0.1), (now, 0.06)):
        rows = len(table["town"])
        table["town"] = np.where(rng.random(rows) < share, "rare", "usual").astype(np.object_)
    stuck = StuckFeatures(CARD, reference(then), SETTINGS)
    feed(stuck, now)
    signal = by_subject(stuck)["town"]
    assert (signal.lower or 0) > 0.02
    assert signal.verdict is Verdict.OK
    now["town"][:] = "usual"
    feed(stuck, now, first=6000)
    assert by_subject(stuck)["town"].verdict is Verdict.ALARM


def test_fewer_repeats_are_nobodys_concern() -> None:
    """A reference in which rows repeat by chance, and a stream without: ok."""
    then = clean(16, 6000)
    for name in ("age", "debt"):
        then[name] = np.round(then[name])
    for detector in (RepeatedRows, StuckFeatures):
        made = detector(CARD, reference(then), SETTINGS)
        feed(made, clean(17, 4000))
        assert Verdict.ALARM not in {signal.verdict for signal in made.signals()}
    assert max(signal.log10_evidence or 0.0 for signal in made.signals()) > 5


def test_a_list_that_was_cut_cannot_tell_new_categories() -> None:
    """More than 200 categories: the signal says why it is silent."""
    table = clean(18, 3000)
    table["town"] = np.array([f"t{n % 900}" for n in range(3000)], dtype=np.object_)
    unseen = UnseenCategories(CARD, reference(table), SETTINGS)
    feed(unseen, clean(19, 200))
    assert by_subject(unseen)["town"].message == LIST_CUT


def test_features_that_must_not_be_watched_are_not(profile: ReferenceProfile) -> None:
    """A feature with the policy `drop` has no signal, and no part in the hash of rows."""
    dropped = CARD.features[0].model_copy(update={"policy": Policy.DROP})
    card = CARD.model_copy(update={"features": (dropped, *CARD.features[1:])})
    for case in CASES:
        assert "age" not in by_subject(case.detector(card, profile, SETTINGS))
    rows = RepeatedRows(card, profile, SETTINGS)
    feed(rows, faulty(Case(RepeatedRows, "rows", repeat("debt", "town")), 20, 2000, 0.1))
    assert by_subject(rows)["rows"].verdict is Verdict.ALARM


@pytest.mark.parametrize("policy", [Policy.BUCKET, Policy.HASH])
def test_private_numbers_have_no_limits(policy: Policy) -> None:
    """Their smallest value and their quartiles are somebody's: the signals say why they are mute.

    What tells nothing of a value is watched as ever.
    """
    private = CARD.features[0].model_copy(update={"policy": policy})
    card = CARD.model_copy(update={"features": (private, *CARD.features[1:])})
    profile = build_profile(card, SIGNATURE, clean(24, 4000), model)
    for detector in (OutOfRange, Outliers):
        made = detector(card, profile, SETTINGS)
        feed(made, clean(25, 200))
        assert by_subject(made)["age"].message == KEPT_IN
        assert by_subject(made)["debt"].verdict is Verdict.OK
    for case in (CASES[1], CASES[2], CASES[7]):
        assert "age" in case.detector(card, profile, SETTINGS).subjects


def test_hashed_categories_are_watched_like_others() -> None:
    """The policy `hash`: new categories and stuck ones are found by their hashes."""
    town = CARD.features[2].model_copy(update={"policy": Policy.HASH})
    card = CARD.model_copy(update={"features": (*CARD.features[:2], town)})
    hashed = build_profile(card, SIGNATURE, clean(21, 4000), model)
    unseen = UnseenCategories(card, hashed, SETTINGS)
    feed(unseen, clean(22, 500))
    assert by_subject(unseen)["town"].verdict is Verdict.OK
    feed(unseen, faulty(CASES[6], 23, 1000, 0.1), first=500)
    assert by_subject(unseen)["town"].verdict is Verdict.ALARM
