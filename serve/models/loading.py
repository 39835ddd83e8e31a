"""From a registered version to a session that has run: the file checked, its graph found or saved.

What takes long and can be done at a low priority is: hashing, and once for each model that is
large, optimising. Its saved graph is then mapped into memory, so that the load itself is short, and
takes no copy of the file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from configs.errors import Refused
from configs.settings import Hosts
from registry.artifacts import Artifacts
from registry.gently import gently
from registry.signature import Signature
from serve.models.curve import Curve
from serve.models.graph_child import write_graph
from serve.models.measured import KnownModels, Measured
from serve.models.providers import chosen
from serve.models.saved_graphs import PAYS_BYTES, SavedGraphs, this_machine
from serve.models.session import PLAIN, Optimisation, Session
from serve.models.threads import cores_given, threads_for, worth_more_than_one
from serve.models.warm_up import run_once, warm_up

_log = logging.getLogger("weir.host")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session that has run, how long runs took by their rows, and the threads of a run."""

    session: Session
    curve: Curve
    threads: int


class Loader:
    """Loads versions of one data folder as the settings say.

    Every method blocks, and is for one thread; `Refused` says why a version cannot be loaded. A
    model of more than `pays_bytes` has its optimised graph saved. One that is loaded again is not
    measured again.
    """

    def __init__(self, data: Path, hosts: Hosts, pays_bytes: int = PAYS_BYTES) -> None:
        self._artifacts = Artifacts(data / "artifacts")
        self._hosts = hosts
        self._pays_bytes = pays_bytes
        self._providers = chosen(hosts)
        names = [name for name, _ in self._providers]
        self._saved = SavedGraphs(data / "artifacts" / "graphs", this_machine(names))
        self._known = KnownModels()

    def load(
        self, digest: str, signature: Signature, name: str, level: int = logging.INFO
    ) -> Loaded:
        """Load the model of the version that is called `name`, and run it for the first times."""
        began = perf_counter()
        path = self._artifacts.path(digest)
        threads = self._threads
        key = digest, name, threads
        known = self._known.find(key)
        large = path.exists() and path.stat().st_size > self._pays_bytes
        loaded = None
        if large:
            loaded = self._from_saved(digest, signature, name, threads, known)
        how = "its saved graph" if loaded is not None else "its file"
        if loaded is None:
            self._artifacts.check(digest)
            loaded = self._from_file(path, signature, threads, known, large=large)
        if known is None:
            self._known.note(key, Measured(loaded.curve, loaded.threads))
        _log.log(
            level,
            "%s loaded from %s in %.2f s: %d of %d processors, %s; one row takes %.3f ms",
            name,
            how,
            perf_counter() - began,
            loaded.threads,
            cores_given(),
            ", ".join(provider for provider, _ in self._providers),
            loaded.curve.at(1) * 1e3,
        )
        return loaded

    def _from_file(
        self,
        path: Path,
        signature: Signature,
        threads: int,
        known: Measured | None,
        *,
        large: bool,
    ) -> Loaded:
        """Load what was registered; on more than one thread only where that is worth it."""
        if known is not None:
            return self._ready(path, signature, known.threads, known)
        if threads == 1 or large or self._hosts.threads is not None:
            return self._ready(path, signature, threads)
        loaded = self._ready(path, signature, 1)
        if worth_more_than_one(loaded.curve.at(1)):
            return self._ready(path, signature, threads)
        return loaded

    def _from_saved(
        self, digest: str, signature: Signature, name: str, threads: int, known: Measured | None
    ) -> Loaded | None:
        """Load the optimised graph, saved now if it was not; None if that cannot be done."""
        try:
            graph = gently(lambda: self._saved.find(digest) or self._save(digest))
            return self._ready(graph, signature, threads, known, Optimisation(done=True))
        except (Refused, OSError) as error:
            self._saved.forget(digest)
            _log.warning("%s is loaded without a saved graph: %s", name, error)
            return None

    def _save(self, digest: str) -> Path:
        path = self._artifacts.path(digest)
        self._artifacts.check(digest)
        return self._saved.save(digest, lambda target: write_graph(path, target, self._hosts))

    @property
    def _threads(self) -> int:
        hosts = self._hosts
        return threads_for(hosts.threads, cores_given(), hosts.gateway_replicas, hosts.replicas)

    def _ready(
        self,
        model: Path,
        signature: Signature,
        threads: int,
        known: Measured | None = None,
        optimisation: Optimisation = PLAIN,
    ) -> Loaded:
        def make() -> Session:
            return Session(model, signature, threads, self._providers, optimisation)

        # Threads that are made for the session would keep the low priority of who makes it; and
        # where small models share a host, others wait for the lock that is held meanwhile.
        large = model.stat().st_size > self._pays_bytes or optimisation.done
        session = gently(make) if large and threads == 1 else make()
        if known is not None:
            run_once(session.run, signature)
            return Loaded(session, known.curve, threads)
        curve = warm_up(session.run, signature, self._hosts.batch_max_rows)
        return Loaded(session, curve, threads)
