"""Have runs of one model sleep, as ONNX has no operator for it.

Python imports this in every process of a gateway that is started with this folder on its path. A
run of a model whose producer is called "sleeper" takes 30 s longer if its rows are live; all else
is as it was. See benchmarks/isolation/models.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SLEEP_S = 30.0
_MODULE = "serve.models.session"


class _Patching(Loader):
    """Loads the module of sessions as it is, then has one kind of session sleep."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create it as it would be."""
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run it, then change what runs a batch."""
        self._inner.exec_module(module)
        session: Any = module.Session
        for name in ("run", "run_brief"):
            setattr(session, name, _sleepy(getattr(session, name)))


class _Finder(MetaPathFinder):
    """Finds the one module that is changed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find it where it is, and have it loaded otherwise."""
        if fullname != _MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader)
        return spec


def _sleepy(run: Any) -> Any:
    def slept(self: Any, tensors: Any, options: Any = None) -> Any:
        producer = self._session.get_modelmeta().producer_name
        if producer == "sleeper" and (tensors[0][:, -1] > 0).any():
            time.sleep(SLEEP_S)
        return run(self, tensors, options)

    return slept


sys.meta_path.insert(0, _Finder())
