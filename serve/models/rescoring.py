"""A model of its own for questions about what it answered: a child process, for a short while.

Run as `python -m serve.models.rescoring ARTIFACTS DIGEST MEMORY_BYTES SECONDS`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import DeadlineExceeded, ModelFailed, Refused, WeirError
from configs.settings import Verify
from monitors.profile.reading import Tensors
from monitors.why.model import Model
from registry.records import Version
from registry.signature import Signature
from serve.models.aside import Aside, begin, end_in, read, write
from serve.models.frames import Frame, Kind, failure

if TYPE_CHECKING:
    from serve.models.session import Session

TIME_MAX_S = 20.0
"""How long one question may take, with all of its runs."""

ROWS_AT_ONCE = 256
"""So many rows run as one batch, at most: no more than those who serve take by default."""


@contextmanager
def rescored(
    artifacts: Path, version: Version, limits: Verify, time_max_s: float = TIME_MAX_S
) -> Iterator[Model]:
    """A version's model, to be run on rows for as long as the block lasts.

    A run raises `ModelFailed` when the model does not load, fails or crashes, and
    `DeadlineExceeded` when all of it takes too long. What it complained of is not repeated, since
    it may quote a row.
    """
    figures = (str(limits.memory_max_bytes), str(time_max_s))
    child = Aside(__name__, (str(artifacts.absolute()), version.digest, *figures))
    try:
        yield _Asked(child, version.signature, time_max_s).run
    finally:
        child.end()


class _Asked:
    """The parent's end: one batch is asked, and answered, after the other."""

    def __init__(self, child: Aside, signature: Signature, time_max_s: float) -> None:
        self._child = child
        self._signature = signature
        self._time_max_s = time_max_s
        self._told = False

    def run(self, inputs: Tensors) -> Tensors:
        """Run rows, batch by batch."""
        rows = len(next(iter(inputs.values())))
        parts = [
            self._batch({name: tensor[at : at + ROWS_AT_ONCE] for name, tensor in inputs.items()})
            for at in range(0, rows, ROWS_AT_ONCE)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _batch(self, inputs: Tensors) -> Tensors:
        tensors = tuple(inputs[spec.name] for spec in self._signature.inputs)
        frames = [Frame(Kind.RUN, 0, 0, tensors)]
        if not self._told:
            signature = np.array([self._signature.model_dump_json()], dtype=np.object_)
            frames.insert(0, Frame(Kind.HELLO, 0, 0, (signature,)))
            self._told = True
        answer = self._child.ask(*frames)
        if answer is None:
            raise self._gone()
        if answer.kind is not Kind.ANSWER:
            raise ModelFailed("the model does not load, or failed on the rows that were kept")
        names = [spec.name for spec in self._signature.outputs]
        return dict(zip(names, answer.tensors, strict=True))

    def _gone(self) -> WeirError:
        if self._child.end():
            limit_s = f"{self._time_max_s:g} s"
            return DeadlineExceeded(f"the model took longer than {limit_s} for all of the runs")
        return ModelFailed("the process in which the model ran again has crashed")


def main(arguments: list[str]) -> None:
    """Limit this process, load the model, and run what comes until nothing does."""
    folder, digest, memory, seconds = arguments
    end_in(float(seconds))
    begin(int(memory), math.ceil(float(seconds)) + 1)
    hello = read(sys.stdin.buffer)
    if hello is None:
        return
    signature = Signature.model_validate_json(hello.tensors[0].item())
    # Imported only now, so that the limits hold for the libraries too.
    from registry.artifacts import Artifacts  # noqa: PLC0415
    from serve.models.session import Session  # noqa: PLC0415

    artifacts = Artifacts(Path(folder))
    try:
        artifacts.check(digest)
        session = Session(artifacts.path(digest), signature, threads=1)
        while (frame := read(sys.stdin.buffer)) is not None:
            write(sys.stdout.buffer, _answer(session, signature, frame))
    except (Refused, ModelFailed) as error:
        write(sys.stdout.buffer, failure(0, 0, error.code, ""))


def _answer(session: Session, signature: Signature, frame: Frame) -> Frame:
    """Run a batch; row by row where the model takes no more."""
    if signature.batched:
        return Frame(Kind.ANSWER, 0, 0, session.run(frame.tensors))
    rows = [session.run(row) for row in zip(*frame.tensors, strict=True)]
    return Frame(Kind.ANSWER, 0, 0, tuple(np.stack(each) for each in zip(*rows, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
