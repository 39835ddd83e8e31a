"""The driver: the one process that starts Ray and what runs on it, and ends them again.

Started by the supervisor as `python -m serve.node.driver RUN_DIR STATUS_FD`; tells it on the
status pipe "ready", or "error: ..." in one line.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray.exceptions import RayTaskError

from configs.errors import WeirError
from configs.settings import Settings
from serve.control.control_ray import ControlActor
from serve.node.descendants import adopt_orphans
from serve.node.lean_ray import leave_out_unused_processes
from serve.node.names import CONTROL, EXPORTER, NAMESPACE, OBSERVER
from serve.watchers_ray import ExporterActor, ObserverActor

_PR_SET_PDEATHSIG = 1
_OBJECT_STORE_BYTES = 256 * 2**20
_PRESTARTED = 5
"""Ray starts as many workers ahead as it believes to have processors: one for each of our own."""
_SERVE_DOWN_S = 2.5
_KEEP_DOWN_S = 0.7
_EXPORT_DOWN_S = 1.0
_RAY_DOWN_S = 1.5
_SAID_MAX = 300
"""So many characters of what others raise are said; the log has all of it."""


def main(run_dir: Path, status_fd: int) -> None:
    """Start everything, wait to be told to end, end everything."""
    supervisor = os.getppid()
    _die_with_parent()
    adopt_orphans()
    settings = _settings(run_dir / "settings.json")
    told_to_end = threading.Event()
    try:
        _start(settings, run_dir)
        _on_signals(told_to_end)
        _say(status_fd, "ready")
        told_to_end.wait()
    except Exception as error:
        # Into the log first: who hears the word ends this process.
        traceback.print_exc()
        sys.stderr.flush()
        _say(status_fd, f"error: {_sentence(error)}")
        raise SystemExit(1) from error
    finally:
        _bounded(_control_down, _SERVE_DOWN_S)
        _bounded(lambda: _watcher_down(OBSERVER), _KEEP_DOWN_S)
        _bounded(lambda: _watcher_down(EXPORTER), _EXPORT_DOWN_S)
        _bounded(ray.shutdown, _RAY_DOWN_S)
        if os.getppid() != supervisor:
            _become_its_end(run_dir)


def _settings(file: Path) -> Settings:
    """Take the settings out of a file, which says where the TLS key is and is not left behind."""
    content = file.read_bytes()
    file.unlink()
    return Settings.model_validate_json(content)


def _start(settings: Settings, run_dir: Path) -> None:
    """Start in the order in which things are waited for.

    Ray Serve is imported while Ray starts, and its controller starts beside the control actor;
    what watches comes last.
    """
    importing = threading.Thread(target=importlib.import_module, args=("ray.serve",))
    importing.start()
    leave_out_unused_processes()
    ray.init(
        address="local",
        num_cpus=_PRESTARTED,
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        namespace=NAMESPACE,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _temp_dir=str(run_dir / "ray"),
    )
    control = _actor(ControlActor, CONTROL).remote(settings, run_dir)
    importing.join()
    ray_serve: Any = importlib.import_module("ray.serve")
    ray_serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
    ray.get(control.open.remote())
    _actor(ExporterActor, EXPORTER).remote(settings)
    _actor(ObserverActor, OBSERVER).remote(settings)


def _actor(kind: type, name: str) -> Any:
    """Give what makes an actor that lives, and comes back, until Ray ends."""
    return ray.remote(kind).options(name=name, lifetime="detached", num_cpus=0, max_restarts=-1)


def _on_signals(event: threading.Event) -> None:
    def end(_signal: int, _frame: FrameType | None) -> None:
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _die_with_parent() -> None:
    """Be told to end when the supervisor is killed, which cannot tell anybody any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _become_its_end(run_dir: Path) -> None:
    """Become the program that does what the supervisor would have done with what is left."""
    command = [sys.executable, "-m", "serve.node.remains", str(run_dir)]
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter and module


def _control_down() -> None:
    control: Any = ray.get_actor(CONTROL, namespace=NAMESPACE)
    ray.get(control.close.remote())


def _watcher_down(name: str) -> None:
    watcher: Any = ray.get_actor(name, namespace=NAMESPACE)
    ray.get(watcher.close.remote())


def _bounded(work: Callable[[], None], seconds: float) -> None:
    """Give a shutdown step its time and no more: what is left is ended without asking."""
    thread = threading.Thread(target=_quietly, args=(work,), daemon=True)
    thread.start()
    thread.join(seconds)


def _quietly(work: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        work()


def _sentence(error: Exception) -> str:
    # Ray puts what an actor raised into an error of both kinds, whose message is a whole trace.
    cause: BaseException | None = error.cause if isinstance(error, RayTaskError) else error
    while cause is not None:
        if isinstance(cause, WeirError):
            return cause.message
        cause = cause.__cause__
    last = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
    said = f": {last.strip()[:_SAID_MAX]}" if last else ""
    return f"the gateway did not start: {type(error).__name__}{said}"


def _say(status_fd: int, line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(status_fd, line.encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    os._exit(0)
