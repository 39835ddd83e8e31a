"""BentoML: one service with an API for each model, a worker process a core.

Access log, metrics and tracing off. The body is that of the v2 protocol, given to the API as
its field `inputs`; the answer is a dictionary, which BentoML writes as JSON.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
from common import Model, from_json, infer_path, to_json

FOLDER = Path(os.environ.get("PEER_MODELS", "."))
WORKERS = int(os.environ.get("PEER_WORKERS", "1"))


def endpoint(name: str) -> Any:
    """The API of one model."""

    def infer(self: Any, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        model = self.models[name]
        return to_json(name, model.run(from_json(inputs)))

    infer.__name__ = f"infer_{name}"
    return bentoml.api(infer, route=infer_path(name))


class Models:
    """The sessions of one worker."""

    def __init__(self) -> None:
        self.models = {path.stem: Model(path) for path in FOLDER.glob("*.onnx")}


for path in FOLDER.glob("*.onnx"):
    setattr(Models, f"infer_{path.stem}", endpoint(path.stem))

service = bentoml.service(
    Models,
    workers=WORKERS,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)

if __name__ == "__main__":
    from common import options

    given = options()
    here = Path(__file__).parent
    os.environ |= {"PEER_MODELS": str(given.models), "PEER_WORKERS": str(given.workers)}
    os.environ["PYTHONPATH"] = str(here)
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", "bentoml_server:service"]
    command += ["--host", "127.0.0.1", "--port", str(given.port), "--working-dir", str(here)]
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted
