"""An alarm explained: what moved, what it did to the score, and where; and what cannot be said."""

from __future__ import annotations

import numpy as np

from configs.errors import WeirError
from monitors.contributions.background import Background
from monitors.contributions.explained import Explainer
from monitors.contributions.importance import ROWS, importance, moved
from monitors.profile.reading import Tensors, watched
from monitors.profile.reference import ReferenceProfile
from monitors.why import outcomes
from monitors.why.answer import Attribution, Slices, Why
from monitors.why.attribution import FEATURES_MAX, ROWS_MIN, attribution
from monitors.why.case import Case
from monitors.why.model import Model, Opened
from monitors.why.slices import worst_slices
from registry.card import Feature, Policy
from registry.records import Version
from registry.signature import DTYPES

_ALL_THE_SAME = 0.99
_MATTER_MAX = 5


def explain(case: Case, opened: Opened) -> Why:
    """Explain an alarm; a model that fails takes the attribution away and nothing else.

    Of one about outcomes it says what is known of them, and puts nothing down to features.
    """
    notes = _of_the_signal(case)
    if case.of_outcomes:
        signals = [each.signal for each in case.moved]
        notes += outcomes.notes(case.key, case.version.card, signals)
        return Why(case.changed_at, case.estimated, case.moved, None, None, tuple(notes))
    found = _attributed(case, opened, notes)
    slices = _sliced(case, notes)
    return Why(case.changed_at, case.estimated, case.moved, found, slices, tuple(notes))


def _of_the_signal(case: Case) -> list[str]:
    """What is to be known before the numbers are read."""
    told = []
    if all(each.signal.key != case.key for each in case.moved):
        told.append("the monitor does not tell of this now: only what the alarm says is known")
    strata = case.version.card.strata
    if strata is not None and not case.of_outcomes:
        within = "the hour of the week" if strata.hour_of_week else str(strata.feature)
        told.append(
            f"alarms compare rows within {within}, but the bins, parts and slices here do not: "
            "what came of another mix than usual is in them"
        )
    return told


def _attributed(case: Case, opened: Opened, notes: list[str]) -> Attribution | None:
    features = _with_profile(case, case.features)[:FEATURES_MAX]
    why_not = _why_not(case, features)
    if why_not or case.reference is None or case.since is None:
        notes.append(why_not)
        return None
    card = case.version.card
    try:
        with opened(case.version) as model:
            whole = _with_all_inputs(case.version, model)
            found = attribution(card, case.reference, case.since, features, whole)
            notes.extend(_importance(case, case.reference, whole))
    except WeirError as error:
        notes.append(f"what it did to the score is not known: {error.message}")
        return None
    if zeros := _zeros(case):
        notes.append(f"these are not kept, and were zeros when the model ran: {', '.join(zeros)}")
    if found.same is not None and found.same < _ALL_THE_SAME:
        notes.append(
            f"the model gave {1 - found.same:.0%} of the rows another score than they were "
            "answered with, so its parts are of another model than the one that answered"
        )
    return found


def _importance(case: Case, reference: ReferenceProfile, model: Model) -> list[str]:
    """What matters more or less to the score than it did when the version was registered."""
    before, version = reference.importance, case.version
    if not before or case.since is None or _zeros(case):  # Of rows with zeros it is another.
        return []
    try:
        background = Background(version.card, version.signature, reference)
        # The model was quick enough when it was registered, and its opener bounds all of the runs.
        explainer = Explainer(version.card, background, model, _no_clock)
        now = importance(explainer, case.since.smallest(ROWS).inputs, _no_clock) or {}
    except WeirError:  # There is the attribution.
        return []
    return [
        f"{name} matters {'more' if now[name].value > before[name].value else 'less'} than when "
        f"the version was registered: it adds or takes {now[name].value:.3g} of the score on "
        f"average, and {before[name].value:.3g} then"
        for name in moved(before, now)[:_MATTER_MAX]
    ]


def _no_clock() -> float:
    return 0.0


def _why_not(case: Case, features: tuple[Feature, ...]) -> str:
    """Why nothing can be attributed, or an empty text."""
    card, rows = case.version.card, 0 if case.since is None else len(case.since)
    if case.reference is None:
        return "there is no reference, so no feature can be put back to what it was"
    if card.score is None and card.decision is None:
        return "the card names no score and no decision that drift could do something to"
    if not features:
        return "no feature has moved for sure, so none can be put back to what it was"
    if not case.keeps:
        return (
            "no rows are kept to ask the model again: monitors.why_rows is 0, or one row of this "
            "model is too large"
        )
    if rows < ROWS_MIN:
        return (
            f"{rows} rows since the change are in memory, and it takes {ROWS_MIN}: ask again "
            "after more traffic (rows are forgotten after three days, and when monitors restart)"
        )
    return ""


def _sliced(case: Case, notes: list[str]) -> Slices | None:
    if case.reference is None or case.since is None or not case.keeps:
        return None
    before = 0 if case.before is None else len(case.before)
    if case.before is None or before < ROWS_MIN or len(case.since) < ROWS_MIN:
        notes.append(
            f"slices are not compared: {before} rows from before the change and "
            f"{len(case.since)} since are in memory, and it takes {ROWS_MIN} of each"
        )
        return None
    others = [each.name for each in watched(case.version.card)]
    names = tuple(dict.fromkeys([*case.features, *others]))
    try:
        return worst_slices(case.reference, _with_profile(case, names), case.before, case.since)
    except WeirError as error:  # Rows that do not fit the card.
        notes.append(f"slices are not compared: {error.message}")
        return None


def _with_profile(case: Case, names: tuple[str, ...]) -> tuple[Feature, ...]:
    """The features of these names, in this order, that the reference knows."""
    known = case.reference.features if case.reference is not None else {}
    by_name = {each.name: each for each in watched(case.version.card)}
    return tuple(by_name[name] for name in names if name in known)


def _with_all_inputs(version: Version, model: Model) -> Model:
    """The model for rows of which only some inputs are kept: the others are zeros."""
    signature = version.signature

    def run(inputs: Tensors) -> Tensors:
        rows = len(next(iter(inputs.values())))
        whole = dict(inputs)
        for spec in signature.inputs:
            if spec.name not in whole:
                sizes = spec.shape[1:] if signature.batched else spec.shape
                shape = (rows, *(1 if size == -1 else size for size in sizes))
                empty = "" if DTYPES[spec.datatype] == np.object_ else 0
                whole[spec.name] = np.full(shape, empty, dtype=DTYPES[spec.datatype])
        return model(whole)

    return run


def _zeros(case: Case) -> list[str]:
    """The inputs, and the features of inputs that are kept, whose values are not."""
    kept = set(case.since.inputs if case.since is not None else ())
    inputs = [spec.name for spec in case.version.signature.inputs if spec.name not in kept]
    dropped = [
        each.name
        for each in case.version.card.features
        if each.policy is Policy.DROP and each.input in kept
    ]
    return [*inputs, *dropped]
