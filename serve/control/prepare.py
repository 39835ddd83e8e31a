"""Prepares a version on its owner's machine: the reference rows never leave it, only a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from configs.errors import Refused
from configs.settings import Verify
from monitors.profile.build import Model, build_profile, columns_needed
from monitors.profile.reference import ReferenceProfile
from monitors.profile.tables import open_table, rows_kept, sample
from registry.card import Card
from registry.cards import check_card, complete_card, read_card
from registry.signature import Datatype, Signature
from registry.verify import verify_model
from serve.models.session import Session

Progress = Callable[[str, float | None], None]
"""Is told what is being done, and the share of it that is done where that is known."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the owner of a version brings: the ONNX file, reference rows, and a card."""

    model: Path
    reference: Path | None = None
    card: Path | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A version that is ready to be sent, and the sentences that say what was inferred.

    `rows_read` counts the reference's rows, of which the profile knows a sample if they are many.
    """

    signature: Signature
    card: Card
    inferred: tuple[str, ...]
    profile: ReferenceProfile | None
    rows_read: int = 0


def prepare(files: Files, limits: Verify, progress: Progress) -> Prepared:
    """Check a model in a child process, complete its card, and profile its reference rows.

    Raises `Refused` for a file, card or reference that cannot be served or would need a guess.
    """
    declared = read_card(files.card) if files.card else None
    names = open_table(files.reference).names if files.reference else None
    progress("checking the model in a process of its own", None)
    signature = verify_model(files.model, limits)
    card, inferred = complete_card(declared, signature, names)
    check_card(card, signature)
    if files.reference is None:
        return Prepared(signature, card, inferred, None)
    needed = columns_needed(card)
    if names is None:
        _check_order(files.reference, card)
    rows = sample(
        files.reference,
        needed,
        lambda share: progress("reading the reference", share),
        rows_max=rows_kept(max(len(needed), _columns_of_score(card, signature))),
        texts=_texts(card, signature),
        times=() if card.reference_time is None else (card.reference_time,),
    )
    score = _counted(_model(files.model, signature), len(rows.columns[needed[0]]), progress)
    profile = build_profile(card, signature, rows.columns, score)
    return Prepared(signature, card, inferred, profile, rows.rows_read)


def _texts(card: Card, signature: Signature) -> set[str]:
    """The columns that come as texts in a request, and must be no others in the reference."""
    inputs = {spec.name for spec in signature.inputs if spec.datatype is Datatype.BYTES}
    features = {feature.name for feature in card.features if feature.input in inputs}
    features.update(card.extra_inputs)
    if card.truth_column is not None and card.label and card.label.type == "string":
        features.add(card.truth_column)
    return features


def _columns_of_score(card: Card, signature: Signature) -> int:
    """How many columns the output has that holds the score: they are kept beside the rows."""
    score = card.score.output if card.score else None
    shapes = [spec.shape[1:] for spec in signature.outputs if spec.name == score]
    return max((prod(shape) for shape in shapes if min(shape, default=1) > 0), default=1)


def _check_order(reference: Path, card: Card) -> None:
    """`Refused` unless the columns of a matrix without names are plainly the model's own."""
    inputs = {feature.input for feature in card.features}
    columns = [feature.column for feature in card.features]
    beside = card.extra_inputs or card.reference_time or card.truth_column
    if beside or len(inputs) != 1 or columns != list(range(len(columns))):
        raise Refused(
            f"{reference.name} does not name its columns, and it would be a guess which is which: "
            "give a file that names them, or a card whose features are the columns 0, 1, 2 and so "
            "on of one input, in this order, without groups, a label or a time beside them"
        )


def _model(path: Path, signature: Signature) -> Model:
    """The model as a function of its input tensors by name."""
    session = Session(path, signature, threads=1)
    outputs = [spec.name for spec in signature.outputs]

    def score(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        answer = session.run([tensors[spec.name] for spec in signature.inputs])
        return dict(zip(outputs, answer, strict=True))

    return score


def _counted(model: Model, rows: int, progress: Progress) -> Model:
    """The same model, which tells how many of the rows it has scored."""
    done = 0

    def score(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        nonlocal done
        progress("scoring the reference", done / rows)
        answer = model(tensors)
        done += len(next(iter(tensors.values())))
        return answer

    return score
