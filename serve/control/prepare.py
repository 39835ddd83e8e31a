"""Prepares a version on its owner's machine: the reference rows never leave it, only a profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from configs.errors import Refused
from configs.settings import Verify
from monitors.profile.build import Model, build_profile, columns_needed
from monitors.profile.reference import ReferenceProfile
from monitors.profile.tables import read_columns
from registry.card import Card
from registry.cards import check_card, complete_card, read_card
from registry.signature import Signature
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
    """A version that is ready to be sent, and the sentences that say what was inferred."""

    signature: Signature
    card: Card
    inferred: tuple[str, ...]
    profile: ReferenceProfile | None


def prepare(files: Files, limits: Verify, progress: Progress) -> Prepared:
    """Check a model in a child process, complete its card, and profile its reference rows.

    Raises `Refused` for a file, card or reference that cannot be served or would need a guess.
    """
    declared = read_card(files.card) if files.card else None
    names = column_names(files.reference) if files.reference else None
    progress("checking the model in a process of its own", None)
    signature = verify_model(files.model, limits)
    card, inferred = complete_card(declared, signature, names)
    check_card(card, signature)
    profile = None
    if files.reference is not None:
        progress("reading the reference", None)
        columns = read_columns(files.reference, columns_needed(card))
        score = _counted(_model(files.model, signature), max(map(len, columns.values())), progress)
        profile = build_profile(card, signature, columns, score)
    return Prepared(signature, card, inferred, profile)


def column_names(path: Path) -> tuple[str, ...]:
    """The names of a reference's columns, in the order of the file; `Refused` if unreadable."""
    readers: dict[str, Callable[[Path], tuple[str, ...]]] = {
        ".parquet": lambda file: tuple(pa.parquet.read_schema(file).names),
        ".csv": _csv_names,
        ".npz": _npz_names,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Refused(f"{path.name}: a reference is a file named .parquet, .csv or .npz")
    try:
        return reader(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused(f"{path.name} cannot be read: {error}") from error


def _csv_names(path: Path) -> tuple[str, ...]:
    with pa.csv.open_csv(path) as reader:
        return tuple(reader.schema.names)


def _npz_names(path: Path) -> tuple[str, ...]:
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(arrays.keys())


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
