"""A model of its own for questions about what it answered: a child process, for a short while.

Run as `python -m serve.models.rescoring ARTIFACTS DIGEST MEMORY_BYTES SECONDS`. Rows come in
frames on standard input and outputs leave in frames on standard output: no row is written anywhere.
The process has a low priority and one thread, and a model that crashes, hangs or grows takes nobody
with it.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from configs.errors import DeadlineExceeded, ModelFailed, Refused, WeirError
from configs.settings import Verify
from monitors.profile.reading import Tensors
from monitors.why.model import Model
from registry.gently import NICE
from registry.records import Version
from registry.signature import Signature
from registry.verify_child import limit
from serve.models.frames import BrokenFrame, Frame, Kind, decode, encode, failure

if TYPE_CHECKING:
    from serve.models.session import Session

TIME_MAX_S = 20.0
"""How long one question may take, with all of its runs."""

ROWS_AT_ONCE = 256
"""So many rows run as one batch, at most: no more than those who serve take by default."""

_ROOT = Path(__file__).parents[2]
_LENGTH_BYTES = 4


@contextmanager
def rescored(
    artifacts: Path, version: Version, limits: Verify, time_max_s: float = TIME_MAX_S
) -> Iterator[Model]:
    """A version's model, to be run on rows for as long as the block lasts.

    A run raises `ModelFailed` when the model does not load, fails or crashes, and
    `DeadlineExceeded` when all of it takes too long. What it complained of is not repeated, since
    it may quote a row.
    """
    command = [sys.executable, "-P", "-s", "-B", "-m", __name__]
    figures = (str(limits.memory_max_bytes), str(math.ceil(time_max_s) + 1))
    with subprocess.Popen(  # noqa: S603 - our own module, no shell
        [*command, str(artifacts.absolute()), version.digest, *figures],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        process_group=0,
    ) as child:
        to, by = child.stdin, child.stdout
        if to is None or by is None:
            raise ModelFailed("the process in which the model runs again has no pipes")
        late = threading.Event()

        def end() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(time_max_s, end)
        timer.daemon = True
        timer.start()
        try:
            yield _Asked(to, by, version.signature, time_max_s, late).run
        finally:
            timer.cancel()
            child.kill()
            with suppress(BrokenPipeError):  # What it has not read is of no more use.
                to.close()


class _Asked:
    """The parent's end: one batch is asked, and answered, after the other."""

    def __init__(
        self,
        to: IO[bytes],
        by: IO[bytes],
        signature: Signature,
        time_max_s: float,
        late: threading.Event,
    ) -> None:
        self._to, self._by = to, by
        self._signature = signature
        self._time_max_s = time_max_s
        self._late = late
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
        try:
            if not self._told:
                signature = np.array([self._signature.model_dump_json()], dtype=np.object_)
                _write(self._to, Frame(Kind.HELLO, 0, 0, (signature,)))
                self._told = True
            _write(self._to, Frame(Kind.RUN, 0, 0, tensors))
            answer = _read(self._by)
        except (OSError, BrokenFrame):
            answer = None
        if answer is None:
            raise self._gone()
        if answer.kind is not Kind.ANSWER:
            raise ModelFailed("the model does not load, or failed on the rows that were kept")
        names = [spec.name for spec in self._signature.outputs]
        return dict(zip(names, answer.tensors, strict=True))

    def _gone(self) -> WeirError:
        if self._late.is_set():
            limit_s = f"{self._time_max_s:g} s"
            return DeadlineExceeded(f"the model took longer than {limit_s} for all of the runs")
        return ModelFailed("the process in which the model ran again has crashed")


def main(arguments: list[str]) -> None:
    """Limit this process, load the model, and run what comes until nothing does."""
    os.nice(NICE)
    folder, digest, memory, seconds = arguments
    limit(int(memory), int(seconds))
    hello = _read(sys.stdin.buffer)
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
        while (frame := _read(sys.stdin.buffer)) is not None:
            _write(sys.stdout.buffer, _answer(session, signature, frame))
    except (Refused, ModelFailed) as error:
        _write(sys.stdout.buffer, failure(0, 0, error.code, ""))


def _answer(session: Session, signature: Signature, frame: Frame) -> Frame:
    """Run a batch; row by row where the model takes no more."""
    if signature.batched:
        return Frame(Kind.ANSWER, 0, 0, session.run(frame.tensors))
    rows = [session.run(row) for row in zip(*frame.tensors, strict=True)]
    return Frame(Kind.ANSWER, 0, 0, tuple(np.stack(each) for each in zip(*rows, strict=True)))


def _write(pipe: IO[bytes], frame: Frame) -> None:
    for part in encode(frame):
        pipe.write(part)
    pipe.flush()


def _read(pipe: IO[bytes]) -> Frame | None:
    """The next frame; None where the other end is gone."""
    head = pipe.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(head, "little")
    body = pipe.read(size)
    return decode(memoryview(body)) if len(body) == size else None


if __name__ == "__main__":
    main(sys.argv[1:])
