"""Hosts in the gateway replica's own process: found by name like the others, without a socket.

Frames change hands as they are: nothing is packed or read. So both ends see the same memory, which
neither may change: a host must be given runs that answer in memory of their own (`Session.run`, not
`run_brief`). A batch is run at the loop's next turn and not at once, so that the answers before it
leave first and requests that come together share a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serve.models.addresses import Address
from serve.models.frames import Frame


class End(Protocol):
    """**Protocol:** what either end of a wire is told."""

    def connection_made(self, transport: asyncio.BaseTransport, /) -> None:
        """Begin."""

    def given(self, frame: Frame, /) -> None:
        """Take a frame."""

    def connection_lost(self, exc: Exception | None, /) -> None:
        """End."""


class Wire(asyncio.Transport):
    """One end of a connection inside a process; `patient` is one whose frames wait for a turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, patient: bool) -> None:
        super().__init__()
        self._loop = loop
        self._patient = patient
        self._far: Wire | None = None
        self._owner: End | None = None

    def lead_to(self, far: Wire, owner: End) -> None:
        """Know the other end, and whose end this is."""
        self._far, self._owner = far, owner

    def give(self, frame: Frame) -> None:
        """Hand a frame to the other end, unless that has gone."""
        far = self._far
        if far is None or self._owner is None:
            return
        if self._patient:
            self._loop.call_soon(far.take, _readable(frame))
        else:
            far.take(frame)

    def take(self, frame: Frame) -> None:
        """Be handed a frame by the other end; a surprise ends both, as it does with a socket."""
        if self._owner is None:
            return
        try:
            self._owner.given(frame)
        except BaseException:
            self.close()
            raise

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self._owner is None

    def close(self) -> None:
        """End both ends; there is nothing that would still have to be written."""
        for end in (self, self._far):
            if end is not None:
                end.end()

    def abort(self) -> None:
        """End both ends."""
        self.close()

    def end(self) -> None:
        """Have the owner of this end told, at the loop's next turn and once, that it is over."""
        owner, self._owner = self._owner, None
        if owner is not None:
            self._loop.call_soon(owner.connection_lost, None)


_listening: dict[Address, Callable[[], End]] = {}
"""Who answers to which name in this process."""


def listen(address: Address, factory: Callable[[], End]) -> None:
    """Answer to a name from now on."""
    _listening[address] = factory


def withdraw(address: Address) -> None:
    """Answer to a name no longer; no matter if nobody did."""
    _listening.pop(address, None)


def call(address: Address, caller: End) -> None:
    """Connect to who answers to a name; `ConnectionRefusedError` if nobody does.

    What the caller gives waits for the loop's next turn; what it is given comes at once.
    """
    factory = _listening.get(address)
    if factory is None:
        raise ConnectionRefusedError(f"nobody in this process is {address}")
    loop, called = asyncio.get_running_loop(), factory()
    near, far = Wire(loop, patient=True), Wire(loop, patient=False)
    near.lead_to(far, caller)
    far.lead_to(near, called)
    caller.connection_made(near)
    called.connection_made(far)


def _readable(frame: Frame) -> Frame:
    """Give a frame whose numbers lie at multiples of their size, as compiled code may expect.

    Packed tensors of a request lie where the JSON before them ends.
    """
    for tensor in frame.tensors:
        if not tensor.flags.aligned:
            return frame._replace(tensors=tuple([_aligned(each) for each in frame.tensors]))
    return frame


def _aligned(tensor: NDArray[Any]) -> NDArray[Any]:
    return tensor if tensor.flags.aligned else np.array(tensor)
