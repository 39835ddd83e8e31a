"""Optimised graphs of models, kept next to the artifacts, so that a load need not optimise again.

A saved graph is a folder: the graph, its weights in a file that is mapped into memory, and the
SHA-256 of both. What optimisation makes depends on the version of ONNX Runtime and, for layouts of
weights, on the processor ("Graph Optimizations in ONNX Runtime", "Layout Optimizations"), so both
are part of the folder's name. A folder is there whole or not at all, and may be deleted when its
model does not serve.
"""

from __future__ import annotations

import hashlib
import platform
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from registry.artifacts import sync_folder
from registry.inference import onnxruntime

PAYS_BYTES = 32 * 2**20
"""Larger models are saved: smaller ones load in some ms, and may share a host with others."""

_GRAPH = "graph.onnx"
_SUMS = "sha256"
_PARTIAL = ".partial"


class SavedGraphs:
    """The saved graphs of one folder, for one kind of machine."""

    def __init__(self, folder: Path, machine: str) -> None:
        self._folder = folder
        self._machine = machine

    def find(self, digest: str) -> Path | None:
        """The graph that was saved for a model, unchanged since; None if there is none.

        One that has changed is removed.
        """
        folder = self._place(digest)
        if not folder.exists():
            return None
        try:
            unchanged = (folder / _SUMS).read_bytes() == _sums(folder).encode()
        except OSError:
            unchanged = False
        if not unchanged:
            self.forget(digest)
            return None
        return folder / _GRAPH

    def save(self, digest: str, write: Callable[[Path], None]) -> Path:
        """Keep what `write` makes of a model at the path that it is given, and give where it is.

        Raises what `write` raises, and `OSError`. To save the same graph twice at a time is
        harmless.
        """
        place = self._place(digest)
        partial = place.with_name(f"{secrets.token_hex(16)}{_PARTIAL}")
        try:
            partial.mkdir(mode=0o700, parents=True)
            write(partial / _GRAPH)
            (partial / _SUMS).write_text(_sums(partial), encoding="ascii")
            try:
                partial.rename(place)
            except OSError:  # Another process was quicker.
                if not place.is_dir():
                    raise
            sync_folder(self._folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return place / _GRAPH

    def forget(self, digest: str) -> None:
        """Remove the graph that was saved for a model."""
        shutil.rmtree(self._place(digest), ignore_errors=True)

    def _place(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}-{self._machine}"


def this_machine(providers: Sequence[str]) -> str:
    """A short name of all that an optimised graph depends on, but the model."""
    facts = [onnxruntime.__version__, "all", *providers, platform.machine(), *_processor()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _processor() -> list[str]:
    """The first processor's name and abilities, as Linux lists them."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return [line for line in lines if line.partition(":")[0].strip() in kept]


def _sums(folder: Path) -> str:
    """The SHA-256 and name of each file, but that which holds the sums."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name != _SUMS:
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)
