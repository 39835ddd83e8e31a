"""The process that opens a model file for the first time, with little memory and little time.

Run as `python -m registry.verify_child FILE MEMORY_BYTES CPU_SECONDS FILE_MAX_BYTES`. Its last
act is one line of JSON on standard output: `{"signature": ...}` or `{"refused": "sentence"}`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from configs.errors import Refused
from registry.complaints import plain
from registry.gently import NICE

OUTPUT_MAX_BYTES = 2**20
"""The most that the child can write."""

_SENTENCE_MAX = 600


def main(arguments: list[str]) -> None:
    """Limit this process, check the file, say what was found.

    It has a low priority: whoever registers can wait, those who are served cannot.
    """
    os.nice(NICE)
    path, memory, seconds, size_max = Path(arguments[0]), *(int(word) for word in arguments[1:])
    limit(memory, seconds)
    try:
        answer = _check(path, size_max)
    except Refused as error:
        answer = {"refused": _one_line(error.message)}
    except MemoryError:
        answer = {"out_of_memory": True}
    sys.stdout.write(json.dumps(answer))


def limit(memory: int, seconds: int) -> None:
    """No more memory, processor time, output and files than the check needs, and no core dump."""
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, OUTPUT_MAX_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        # A second more until the kill: the signal before it says that it was for the time.
        resource.setrlimit(kind, (most, most + (kind == resource.RLIMIT_CPU)))


def _check(path: Path, size_max: int) -> dict[str, object]:
    """Everything that is asked of a model, cheapest first."""
    size = path.stat().st_size
    if size > size_max:
        raise Refused(f"the file has {size} bytes; the cap is {size_max}")
    # Imported only now, so that the limits hold for the libraries too.
    import onnx.checker  # noqa: PLC0415

    from registry import onnx_rules, trial  # noqa: PLC0415

    data = path.read_bytes()
    model = onnx_rules.parse(data)
    onnx_rules.refuse_external_data(model)
    onnx_rules.refuse_custom_operators(model)
    del model
    try:
        # Static shape inference is left out: the trial shows the real shapes, and the strict
        # inference of the checker refuses some models that run.
        onnx.checker.check_model(data)
        signature = trial.try_model(data)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise many types on hostile bytes
        return _failure(error)
    return {"signature": signature.model_dump(mode="json")}


def _failure(error: Exception) -> dict[str, object]:
    """What the checker or the runtime said, or that memory ran out."""
    text = str(error)
    if "bad_alloc" in text or "Failed to allocate memory" in text:
        return {"out_of_memory": True}
    return {"refused": f"the model does not load and run: {_one_line(plain(error))}"}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SENTENCE_MAX]


if __name__ == "__main__":
    main(sys.argv[1:])
