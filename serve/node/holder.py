"""The holder keeps the listening sockets of a node and lends them to whoever serves.

A replica that is replaced takes nothing with it: connections wait in the socket's queue until
somebody else accepts.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from serve.node.slots import Stuck, shares
from serve.node.sockets import waiting

MESSAGE_BYTES = 32
ACCEPT, LEAVE = "+", "-"
"""How a message to a borrower begins; then comes the slot, and with `ACCEPT` the socket itself."""
_LOOK_S = 1.0
_PAUSE_S = 0.05


def socket_path(run_dir: Path) -> Path:
    """Give the path at which a node's holder is asked."""
    return run_dir / "holder.sock"


class _Lent:
    """The sockets of one name and those who have them, in the order in which they came."""

    def __init__(self, slots: Sequence[socket.socket]) -> None:
        self.slots = tuple(slots)
        self.borrowers: dict[socket.socket, frozenset[int]] = {}
        self._looks = Stuck(len(slots))
        self._stuck: frozenset[int] = frozenset()

    def look(self) -> None:
        """Give everybody the slots in which connections wait though somebody has them."""
        stuck = self._looks.look([waiting(slot) for slot in self.slots])
        if stuck != self._stuck:
            self._stuck = stuck
            self.share()

    def share(self) -> None:
        """Tell every borrower what has changed for it: first what to accept on, then the rest."""
        wanted = shares(len(self.slots), list(self.borrowers), self._stuck)
        before = dict(self.borrowers)
        self.borrowers.update(wanted)
        for borrower, mine in wanted.items():
            for slot in sorted(mine - before[borrower]):
                _tell(borrower, ACCEPT, slot, [self.slots[slot].fileno()])
        for borrower, mine in wanted.items():
            for slot in sorted(before[borrower] - mine):
                _tell(borrower, LEAVE, slot, [])


def _tell(borrower: socket.socket, word: str, slot: int, descriptors: list[int]) -> None:
    try:
        socket.send_fds(borrower, [f"{word}{slot}".encode()], descriptors)
    except OSError:  # It has gone, or has not listened for long: then it goes now.
        with contextlib.suppress(OSError):
            borrower.shutdown(socket.SHUT_RDWR)


class Holder:
    """Answers on a Unix socket: a name comes in, listening sockets of that name go out.

    A borrower keeps its connection for as long as it accepts. When others come and go it is told
    on which slots to accept from then on; the end of a process ends its connection.
    """

    def __init__(self, run_dir: Path, sockets: Mapping[str, Sequence[socket.socket]]) -> None:
        self._lent = {name: _Lent(slots) for name, slots in sockets.items()}
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server.bind(str(socket_path(run_dir)))
        self._server.listen()
        self._server.setblocking(False)
        self._askers: dict[socket.socket, _Lent | None] = {}
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="weir-holder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close everything; the ports are free once no replica holds a copy."""
        os.write(self._wake_write, b".")
        self._thread.join(1.0)
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)
        for opened in (self._server, *self._askers):
            opened.close()
        for lent in self._lent.values():
            for slot in lent.slots:
                slot.close()

    def _serve(self) -> None:
        look_at = time.monotonic() + _LOOK_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            selector.register(self._server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(_LOOK_S if self._shared else None):
                    if key.fileobj == self._wake_read:
                        return
                    if key.fileobj is self._server:
                        self._welcome(selector)
                    elif isinstance(key.fileobj, socket.socket):
                        self._hear(selector, key.fileobj)
                if self._shared and time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_S
                    for lent in self._shared:
                        lent.look()

    @property
    def _shared(self) -> list[_Lent]:
        """What several have: if one of them hangs another can help."""
        return [lent for lent in self._lent.values() if len(lent.borrowers) > 1]

    def _welcome(self, selector: selectors.BaseSelector) -> None:
        try:
            asker, _ = self._server.accept()
        except OSError:  # Out of descriptors for a moment.
            time.sleep(_PAUSE_S)
            return
        asker.setblocking(False)
        self._askers[asker] = None
        selector.register(asker, selectors.EVENT_READ)

    def _hear(self, selector: selectors.BaseSelector, asker: socket.socket) -> None:
        """Take the name that is asked for; anything else, the end above all, ends the loan."""
        try:
            name = asker.recv(MESSAGE_BYTES).decode("ascii", "replace")
        except OSError:
            name = ""
        lent = self._askers[asker]
        if lent is None and name in self._lent:
            lent = self._askers[asker] = self._lent[name]
            lent.borrowers[asker] = frozenset()
        else:
            selector.unregister(asker)
            del self._askers[asker]
            asker.close()
            if lent is None:
                return
            del lent.borrowers[asker]
        lent.share()
