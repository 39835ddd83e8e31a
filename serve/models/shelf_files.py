"""How the control plane tells a shared host what to hold, and how the host says how far it is.

Both write files: a host that was started anew knows what to hold while nobody else is alive.

    RUN_DIR/s/NUMBER/wanted.json   what the shared host of this number must hold
    RUN_DIR/s/NUMBER/PID.json      what one of its replicas holds, and what it cannot hold and why
    RUN_DIR/s/NUMBER/PID.hand      what one of its replicas has in hand
    RUN_DIR/s/NUMBER/crashes.json  which versions were in hand when replicas died, and how often
    RUN_DIR/s/NUMBER/crashes.lock  held by the replica that counts the dead
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from registry.records import Version
from registry.signature import Signature
from serve.models.in_hand import was_in_hand
from serve.node.alive import is_alive

VersionKey = tuple[str, int]
_WANTED = "wanted.json"
_CRASHES = "crashes.json"
_LOCK = "crashes.lock"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Message):
    """A version to hold; `ahead` says that it must be in memory before anybody is sent to it."""

    model: str
    number: int
    digest: str
    signature: Signature
    size_bytes: int
    ahead: bool

    @classmethod
    def of(cls, version: Version, *, ahead: bool) -> Entry:
        """The entry of a version."""
        return cls(
            model=version.model,
            number=version.number,
            digest=version.digest,
            signature=version.signature,
            size_bytes=version.size_bytes,
            ahead=ahead,
        )

    @property
    def key(self) -> VersionKey:
        """The version's name."""
        return self.model, self.number


class Wanted(_Message):
    """All that a shared host must hold."""

    entries: tuple[Entry, ...] = ()

    def keys(self) -> frozenset[VersionKey]:
        """The names of the versions."""
        return frozenset(entry.key for entry in self.entries)


class Refusal(_Message):
    """A version that a replica cannot hold, and why."""

    model: str
    number: int
    why: str


class Report(_Message):
    """What a replica holds and what it cannot hold."""

    held: tuple[VersionKey, ...] = ()
    refused: tuple[Refusal, ...] = ()


class Crashes(_Message):
    """How many crashes each version was in hand at, as far as it was in any."""

    seen: tuple[tuple[VersionKey, int], ...] = ()


def shelf_of(key: VersionKey, shelves: int) -> int:
    """Give the number of the shared host of a version: the same for as long as there are as many.

    Rendezvous hashing (Thaler, Ravishankar 1998): one more host moves only what it gets itself.
    """

    def weight(number: int) -> bytes:
        return blake2b(f"{number}/{key[0]}/{key[1]}".encode(), digest_size=8).digest()

    return max(range(shelves), key=weight)


def shelf_folder(run_dir: Path, number: int) -> Path:
    """Give the folder of a shared host."""
    return run_dir / "s" / str(number)


def read_wanted(shelf: Path) -> Wanted:
    """Give what a shared host must hold; nothing if nobody has said so."""
    try:
        return Wanted.model_validate_json((shelf / _WANTED).read_bytes())
    except FileNotFoundError:
        return Wanted()


def write_wanted(shelf: Path, wanted: Wanted) -> None:
    """Say what a shared host must hold."""
    _write(shelf / _WANTED, wanted)


def wanted_mark(shelf: Path) -> tuple[int, int] | None:
    """Give what changes whenever somebody says what to hold; None if nobody has."""
    try:
        found = (shelf / _WANTED).stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_ino


def write_report(shelf: Path, pid: int, report: Report) -> None:
    """Say what the replica that is this process holds."""
    _write(_report(shelf, pid), report)


def remove_report(shelf: Path, pid: int) -> None:
    """Forget what a replica held that leaves in order."""
    _report(shelf, pid).unlink(missing_ok=True)
    hand(shelf, pid).unlink(missing_ok=True)


def hand(shelf: Path, pid: int) -> Path:
    """Give where a replica notes what it has in hand."""
    return shelf / f"{pid}.hand"


def count_crashes(shelf: Path) -> dict[VersionKey, int]:
    """Give how many crashes each wanted version was in hand at; the dead are counted and removed.

    Replicas that start at once take turns, so that each dead one is counted, and once.
    """
    with _turn(shelf):
        keys = read_wanted(shelf).keys()
        seen = _read_crashes(shelf)
        dead = [path for path in shelf.glob("*.hand") if not is_alive(int(path.stem))]
        for key in (key for path in dead for key in was_in_hand(path, keys)):
            seen[key] = seen.get(key, 0) + 1
        if dead:
            _write(shelf / _CRASHES, Crashes(seen=tuple(seen.items())))
        for path in dead:
            remove_report(shelf, int(path.stem))
    return seen


@contextmanager
def _turn(shelf: Path) -> Iterator[None]:
    """Keep others that look after the dead out while the block runs."""
    shelf.mkdir(parents=True, exist_ok=True)
    with (shelf / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_crashes(shelf: Path) -> dict[VersionKey, int]:
    try:
        return dict(Crashes.model_validate_json((shelf / _CRASHES).read_bytes()).seen)
    except FileNotFoundError:
        return {}


def reports(shelf: Path) -> dict[int, Report]:
    """Give the reports of the replicas that are alive, by process id."""
    found = {}
    for path in shelf.glob("[0-9]*.json"):
        pid = int(path.stem)
        if is_alive(pid):
            try:
                found[pid] = Report.model_validate_json(path.read_bytes())
            except FileNotFoundError:  # It has gone this very moment.
                continue
    return found


def _report(shelf: Path, pid: int) -> Path:
    return shelf / f"{pid}.json"


def _write(path: Path, message: _Message) -> None:
    """Replace a file as a whole: nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}.new")
    new.write_text(message.model_dump_json())
    new.rename(path)
