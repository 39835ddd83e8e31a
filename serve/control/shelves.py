"""What the control plane tells shared hosts to hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from configs.errors import Refused, Unavailable
from configs.settings import Hosts
from registry.records import Version
from serve.control.replicas import VersionKey
from serve.models.shelf_files import (
    Entry,
    Wanted,
    read_wanted,
    reports,
    shelf_folder,
    shelf_of,
    write_wanted,
)

_LOOK_S = 0.02
_HOLD_S = 60.0


class Shelves:
    """Adds versions to shared hosts and takes them away; which is where follows from their names.

    What is wanted is in files, so that a control plane that was started anew goes on with it.
    """

    def __init__(self, run_dir: Path, hosts: Hosts) -> None:
        self._run_dir = run_dir
        self._count = hosts.shared

    def number(self, key: VersionKey) -> int:
        """Give the number of the shared host of a version."""
        return shelf_of(key, self._count)

    def held(self) -> Mapping[VersionKey, bool]:
        """Give all versions that shared hosts must hold, and whether one does already."""
        found: dict[VersionKey, bool] = {}
        for number in range(self._count):
            shelf = shelf_folder(self._run_dir, number)
            wanted = read_wanted(shelf).keys()
            if wanted:
                held = {key for report in reports(shelf).values() for key in report.held}
                found.update((key, key in held) for key in wanted)
        return found

    def holders(self, key: VersionKey) -> frozenset[int]:
        """Give the processes that hold a version."""
        if not self._count:
            return frozenset()
        said = reports(shelf_folder(self._run_dir, self.number(key)))
        return frozenset(pid for pid, report in said.items() if key in report.held)

    def refused(self) -> Mapping[VersionKey, str]:
        """Give the versions that shared hosts must hold and cannot, and why."""
        found: dict[VersionKey, str] = {}
        for number in range(self._count):
            for report in reports(shelf_folder(self._run_dir, number)).values():
                found.update(((each.model, each.number), each.why) for each in report.refused)
        return found

    def add(self, versions: Iterable[Version], *, ahead: bool) -> None:
        """Have versions held; `ahead` has them loaded before anybody is sent to them."""
        entries: dict[int, list[Entry]] = {}
        for version in versions:
            number = self.number((version.model, version.number))
            entries.setdefault(number, []).append(Entry.of(version, ahead=ahead))
        for number, new in entries.items():
            shelf = shelf_folder(self._run_dir, number)
            known = read_wanted(shelf)
            names = known.keys()
            added = tuple(entry for entry in new if entry.key not in names)
            if added:
                write_wanted(shelf, Wanted(entries=(*known.entries, *added)))

    def remove(self, key: VersionKey) -> None:
        """Have a version held no longer."""
        shelf = shelf_folder(self._run_dir, self.number(key))
        known = read_wanted(shelf).entries
        write_wanted(shelf, Wanted(entries=tuple(entry for entry in known if entry.key != key)))

    async def settled(self, keys: Iterable[VersionKey]) -> None:
        """Wait until versions are held, by every process that is to hold them.

        `Refused` if one cannot be, which is then wanted no longer; `Unavailable` after a minute.
        """
        missing = set(keys)
        try:
            async with asyncio.timeout(_HOLD_S):
                while missing:
                    for number in {self.number(key) for key in missing}:
                        missing -= self._answered(number, missing)
                    if missing:
                        await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            model, number = min(missing)
            raise Unavailable(f"no shared host has taken in {model} {number}; try again") from None

    def _answered(self, number: int, missing: set[VersionKey]) -> set[VersionKey]:
        """Give what a shared host holds by now: all of its replicas, for each has its own callers.

        A missing version that one of them refuses is `Refused`.
        """
        said = reports(shelf_folder(self._run_dir, number)).values()
        for refusal in (each for report in said for each in report.refused):
            key = refusal.model, refusal.number
            if key in missing:
                self.remove(key)
                raise Refused(f"{refusal.model} {refusal.number} cannot be hosted: {refusal.why}")
        return set.intersection(*[{*report.held} for report in said]) if said else set()
