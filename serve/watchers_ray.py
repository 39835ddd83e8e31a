"""Ray shells: the actors that watch."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from configs.errors import Unavailable
from configs.settings import Settings
from monitors.blocks import Folded, SampleBlock, Snapshot
from registry.records import Version
from serve.control.service import ArmBins, ArmSignals
from serve.node.logs import log_to
from serve.node.names import CONTROL, EXPORTER, NAMESPACE
from serve.node.priority import after_requests
from serve.protocol.feedback import Sent, messages, taken

if TYPE_CHECKING:
    from monitors.alarm import Standing
    from monitors.kept import Place
    from monitors.labels.assigned import LabelledUnits
    from monitors.labels.receipt import Receipt
    from monitors.labels.told import LabelsTold
    from monitors.push import Push
    from monitors.signal import Key
    from monitors.training.log import TrainingLog
    from monitors.why.answer import Why
    from monitors.why.case import Case

_LOOK_SHARE = 0.05
"""The part of a core that looks at all signals may take: many features are looked at less often."""

_LOOK_MAX_S = 5.0
"""However many they are, signals are told this often, lest the observer seem to have gone."""

_log = logging.getLogger("weir.watchers")


class ExporterActor:
    """Folds counts and exports them."""

    def __init__(self, settings: Settings) -> None:
        log_to(settings.data)
        after_requests()
        # Imported here, in the actor, so that neither the driver nor a request waits for it.
        from monitors.exporter import Exporter  # noqa: PLC0415

        self._exporter = Exporter(max(settings.monitors.signals_s, settings.recorder.flush_s))
        self._push: Push | None = None
        if settings.telemetry.otlp_endpoint is not None:
            from monitors.push import Push  # noqa: PLC0415 - slow, and not always needed

            self._push = Push(self._exporter, settings.telemetry, f"exporter-{os.getpid()}")

    def fold(self, *snapshots: Snapshot) -> None:
        """Take in the counts of one source, all its parts that have something to say."""
        for snapshot in snapshots:
            self._exporter.fold(snapshot)

    def page(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        return self._exporter.page(accept)

    def close(self) -> None:
        """Export what has not been exported."""
        if self._push is not None:
            self._push.close()

    def pid(self) -> int:
        """Give the process id."""
        return os.getpid()


class ObserverActor:
    """Folds blocks into signals and tells the exporter of them now and then."""

    def __init__(self, settings: Settings) -> None:
        log_to(settings.data)
        after_requests()
        # Imported here, in the actor, so that neither the driver nor a request waits for it.
        from monitors.kept import KeptInFolder  # noqa: PLC0415
        from monitors.labels.book import LabelBook  # noqa: PLC0415
        from monitors.observer import Observer  # noqa: PLC0415
        from serve.alarms.explainer import Explainer  # noqa: PLC0415
        from serve.models.rescoring import rescored  # noqa: PLC0415

        self._lock = threading.Lock()
        self._kept = KeptInFolder(settings.data / "monitors")
        self._training = _training_log(settings)
        self._book = LabelBook(settings.data / "labels", settings.labels)
        self._observer = Observer(
            settings.monitors,
            _describe,
            f"observer-{os.getpid()}",
            clock=time.time,
            processor_time=time.thread_time,
            kept=self._kept,
            training=self._training,
            book=self._book,
        )
        artifacts = settings.data / "artifacts"
        self._explainer = Explainer(
            self._case,
            lambda version: rescored(artifacts, version, settings.verify),
            time.monotonic,
            self._why_failed,
        )
        self._every_s = settings.monitors.signals_s
        self._keep_every_s = settings.monitors.keep_s
        self._keeping = threading.Lock()
        self._standing: tuple[Standing, ...] = ()
        threading.Thread(target=self._tell, name="weir-signals", daemon=True).start()

    def fold(self, blocks: Sequence[SampleBlock]) -> Folded:
        """Take in a shipment of one source, and give what all folds have cost so far."""
        with self._lock:
            for block in blocks:
                self._observer.fold(block)
            return replace(self._observer.folded, taken=self._observer.taken(blocks[-1].source))

    def feedback(self, sent: Sent) -> Receipt:
        """Take in labels or group attributes; they are on disk when this returns."""
        brought = messages(sent)
        with self._lock:
            receipt = self._observer.feedback(
                sent.model, brought, audit=sent.audit, versions=sent.versions
            )
        return taken(receipt, brought)

    def labels(self, model: str) -> LabelsTold:
        """Give how many labels of a model have come, how late, and of which predictions."""
        with self._lock:
            return self._observer.labels(model)

    def labelled_units(self, model: str) -> tuple[LabelledUnits, ...]:
        """Give which units of a model's latest rollouts have their label, and were wrong."""
        with self._lock:
            return self._observer.labelled_units(model)

    def bins(self, model: str, subject: str, minutes: int | None) -> tuple[ArmBins, ...]:
        """Give where a feature, a score or the decision has moved."""
        from monitors.explain import shares  # noqa: PLC0415 - as in __init__

        with self._lock:
            found = self._observer.bins(model, subject, minutes)
        return tuple(
            ArmBins(watched.version, watched.role, int(bins.live.sum()), shares(bins))
            for watched, bins in found
        )

    def why(self, place: Place, key: Key) -> Why | None:
        """Explain an alarm; None while that is under way, so that folds go on meanwhile."""
        return self._explainer.why(place, key)

    def alarms(self) -> tuple[Standing, ...]:
        """Give every alarm that stood at the last look: whoever asks causes no other."""
        return self._standing

    def rearm(self, place: Place, key: Key, adopt: bool) -> None:
        """Begin anew with one signal, or with all of a version, to learn a new reference."""
        with self._lock:
            if adopt:
                self._observer.adopt(place)
            else:
                self._observer.rearm(place, key)
            self._standing = self._observer.alarms()
        self._keep_or_log()

    def _why_failed(self) -> None:
        with self._lock:
            self._observer.note_failure_of_why()

    def close(self) -> None:
        """Keep what has not been kept."""
        self._explainer.close()
        self._keep()
        with self._lock:
            self._book.close()

    def signals(self, model: str) -> tuple[ArmSignals, ...]:
        """Give what there is to say of a model's versions."""
        with self._lock:
            return tuple(
                ArmSignals(watched.version, watched.role, watched.rows, watched.signals)
                for watched in self._observer.signals(model)
            )

    def pid(self) -> int:
        """Give the process id."""
        return os.getpid()

    def _tell(self) -> None:
        pause = threading.Event()
        took_s = 0.0
        kept_at = time.monotonic()
        while not pause.wait(max(self._every_s, min(took_s / _LOOK_SHARE, _LOOK_MAX_S))):
            before = time.thread_time()
            with self._lock:
                snapshots = self._observer.snapshots()
                self._standing = self._observer.alarms()
            took_s = time.thread_time() - before
            if time.monotonic() - kept_at >= self._keep_every_s:
                self._keep_or_log()
                kept_at = time.monotonic()
            try:
                exporter: Any = ray.get_actor(EXPORTER, namespace=NAMESPACE)
                exporter.fold.remote(*snapshots)
            except (RayError, ValueError):  # ValueError: no actor of that name lives.
                _log.warning("the exporter cannot be reached; its next start will get all signals")

    def _case(self, place: Place, key: Key) -> Case:
        with self._lock:
            return self._observer.case(place, key)

    def _keep_or_log(self) -> None:
        try:
            self._keep()
        except OSError:
            _log.exception("what the monitors remember cannot be written; tried again later")

    def _keep(self) -> None:
        """Write what has changed; folds go on while the files are written."""
        with self._keeping:
            with self._lock:
                states = self._observer.states()
                gathered = self._training.gathered() if self._training is not None else None
            try:
                # First: what is judged comes again to whoever goes on from an older state.
                if self._training is not None and gathered is not None:
                    self._training.write(gathered, time.time())
            finally:
                for place, state in states.items():
                    self._kept.write(place, state)


def _training_log(settings: Settings) -> TrainingLog | None:
    if not settings.training_log.models:
        return None
    from monitors.training.log import TrainingLog  # noqa: PLC0415 - not always needed

    try:
        return TrainingLog(settings.data / "training", settings.training_log)
    except OSError:
        _log.exception("no rows are kept for training until the next start")
        return None


def _describe(model: str, version: int) -> tuple[Version, bytes | None]:
    try:
        control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
        described: tuple[Version, bytes | None] = ray.get(control.describe.remote(model, version))
    except RayTaskError:
        raise  # The control plane has answered; what it raised is what it says.
    except (RayError, ValueError) as error:  # ValueError: no actor of that name lives.
        raise Unavailable(f"the control plane does not answer: {error}") from None
    return described
