"""A version's model kept ready to be explained, in a process of its own.

Run as `python -m serve.models.explaining ARTIFACTS MEMORY_BYTES SECONDS`. A hello says
which version it is, and is answered when that is loaded; then each frame is a question, the tensors
of a request and how they are to be explained, and is answered with JSON.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from configs.errors import (
    DeadlineExceeded,
    InternalError,
    ModelFailed,
    NotFound,
    Unavailable,
    WeirError,
    of_code,
)
from configs.settings import Verify
from monitors.contributions.wish import Wish
from monitors.privacy import blame
from registry.records import Version
from serve.models.aside import Aside, begin, end_in, read, write
from serve.models.frames import Frame, Kind, Tensors, failure

HANG_S = 20.0
"""How long the process has to load its model, or to answer: then it is ended."""

_PROCESSOR_S = 10**6
"""It lives as long as it is asked, so that only a single question is bounded."""

_log = logging.getLogger("weir.gateway")


class Explained:
    """The parent's end: starts the process when it is asked, and again when it has ended.

    Used by one thread at a time, but for `kill`.
    """

    def __init__(
        self, artifacts: Path, version: Version, limits: Verify, hang_s: float = HANG_S
    ) -> None:
        memory = str(limits.memory_max_bytes)
        self._arguments = (str(artifacts.absolute()), memory, str(hang_s))
        self._hang_s = hang_s
        self._version = version
        self._child: Aside | None = None

    def ask(self, inputs: Tensors, wish: Wish, left_s: float) -> bytes:
        """Explain the rows of a request, in the model's order of inputs; gives a JSON object."""
        child = self._child or self._started()
        question = orjson.dumps({"wish": asdict(wish), "left_s": left_s}).decode()
        answer = child.ask(Frame(Kind.RUN, 0, 0, (*inputs, _texts(question))))
        if answer is None:
            raise self._gone(child)
        if answer.kind is Kind.FAILURE:
            raise self._failed(answer)
        return answer.tensors[0].tobytes()

    def kill(self) -> None:
        """End the process, from any thread."""
        child = self._child
        if child is not None:
            child.kill()

    def end(self) -> None:
        """End the process, and wait for it."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _started(self) -> Aside:
        version = self._version
        child = self._child = Aside(__name__, self._arguments)
        who = _texts(
            version.signature.model_dump_json(),
            version.card.model_dump_json(),
            version.digest,
            version.profile or "",
        )
        answer = child.ask(Frame(Kind.HELLO, 0, 0, (who,)))
        if answer is None:
            raise self._gone(child)
        if answer.kind is Kind.FAILURE:
            self.end()
            raise self._failed(answer)
        return child

    def _gone(self, child: Aside) -> WeirError:
        self._child = None
        if child.end():
            return DeadlineExceeded(
                f"the model took longer than {self._hang_s:g} s to be explained"
            )
        return ModelFailed("the process in which the model was explained has crashed")

    def _failed(self, answer: Frame) -> WeirError:
        code, message = answer.tensors[0].tolist()
        error = of_code(code, message)
        if type(error) is InternalError:
            name = f"{self._version.model} {self._version.number}"
            _log.error("an explanation of %s failed: %s", name, message)
            return InternalError("internal error")
        return error


def main(arguments: list[str]) -> None:
    """Load the version, and answer questions until there are none."""
    folder, memory, seconds = arguments
    hang_s = float(seconds)
    end_in(hang_s)
    begin(int(memory), _PROCESSOR_S)
    hello = read(sys.stdin.buffer)
    if hello is None:
        return
    try:
        answer = _opened(Path(folder), *hello.tensors[0].tolist())
    except Exception as error:  # noqa: BLE001 - the process boundary; counted there by its code
        write(sys.stdout.buffer, _refusal(error))
        return
    write(sys.stdout.buffer, Frame(Kind.HELLO, 0, 0))
    while True:
        end_in(0.0)
        question = read(sys.stdin.buffer)
        if question is None:
            return
        end_in(hang_s)
        write(sys.stdout.buffer, _answered(answer, question))


def _answered(answer: Callable[[Frame], Frame], question: Frame) -> Frame:
    try:
        return answer(question)
    except Exception as error:  # noqa: BLE001 - the process boundary; counted there by its code
        return _refusal(error)


def _refusal(error: Exception) -> Frame:
    """What is wrong in our own words; of what is not ours only where it went wrong."""
    if isinstance(error, WeirError):
        return failure(0, 0, error.code, error.message)
    return failure(0, 0, InternalError.code, blame(error))


def _opened(
    folder: Path, signature_json: str, card_json: str, digest: str, profile: str
) -> Callable[[Frame], Frame]:
    """Load a version; gives what answers questions about it."""
    # Imported only now, so that the limits hold for the libraries too.
    from monitors.contributions.background import Background  # noqa: PLC0415
    from monitors.contributions.explained import Explainer, told  # noqa: PLC0415
    from monitors.profile.reference import ReferenceProfile  # noqa: PLC0415
    from registry.artifacts import Artifacts  # noqa: PLC0415
    from registry.card import Card  # noqa: PLC0415
    from registry.signature import Signature  # noqa: PLC0415
    from serve.models.session import Session  # noqa: PLC0415

    signature = Signature.model_validate_json(signature_json)
    card = Card.model_validate_json(card_json)
    artifacts = Artifacts(folder)
    try:
        artifacts.check(digest)
        reference = ReferenceProfile.from_json(artifacts.read(profile))
    except NotFound:
        raise Unavailable("the files of this version are not on this machine") from None
    background = Background(card, signature, reference)
    session = Session(artifacts.path(digest), signature, threads=1)
    inputs = [spec.name for spec in signature.inputs]
    outputs = [spec.name for spec in signature.outputs]

    def run(rows: Any) -> dict[str, NDArray[Any]]:
        return dict(zip(outputs, session.run([rows[name] for name in inputs]), strict=True))

    explainer = Explainer(card, background, run, time.monotonic)

    def answer(frame: Frame) -> Frame:
        *tensors, question = frame.tensors
        asked = orjson.loads(question[0])
        wish = Wish(**asked["wish"])
        rows = dict(zip(inputs, tensors, strict=True))
        found = explainer.explain(rows, wish, time.monotonic() + asked["left_s"])
        said = orjson.dumps(told(found, wish))
        return Frame(Kind.ANSWER, 0, 0, (np.frombuffer(said, dtype=np.uint8),))

    return answer


def _texts(*texts: str) -> NDArray[np.object_]:
    made = np.empty(len(texts), dtype=np.object_)
    made[:] = texts
    return made


if __name__ == "__main__":
    main(sys.argv[1:])
