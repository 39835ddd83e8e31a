"""What the services beside inference have in common: anybody may call them."""

from __future__ import annotations

from configs.errors import NotSupported, WeirError
from serve.edge import grpc_reply
from serve.edge.grpc_call import Call
from serve.edge.reception import Reception


class PlainDesk:
    """Lets every call in, and tells of what is wrong with it; how to serve is left to others."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def begin(self, call: Call) -> None:
        """Let a call in, unless there is a fault in its head."""
        call.visit = self._reception.arrive()
        if call.head.fault is not None:
            self.refuse(call, call.head.fault)

    def ended(self, call: Call) -> None:
        """End the answer to a stream that has ended."""
        call.finish(grpc_reply.good())

    def refuse(self, call: Call, error: WeirError) -> None:
        """End a call with an error."""
        if not call.over:
            call.finish(grpc_reply.failed(*self._reception.failed(call.visit, error)))

    def left(self, call: Call) -> None:
        """Do nothing: nothing was begun that would go on."""


class Nobody(PlainDesk):
    """Tells of methods that there are not."""

    def begin(self, call: Call) -> None:
        """End a call."""
        call.visit = self._reception.arrive()
        self.refuse(call, NotSupported("there is no such method"))

    def serve(self, call: Call, message: bytes) -> None:
        """Do nothing: the call was ended by its head."""
