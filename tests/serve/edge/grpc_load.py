"""Clients of the gRPC port that never stop calling."""

from __future__ import annotations

import threading
from typing import Self

import grpc

from tests.serve.edge.test_grpc import Client, row
from tests.serve.versions import MODEL
from tests.serve.waiting import wait_until

_PATIENCE_S = 30.0


class Load:
    """Clients in threads that call without a pause; any failure is remembered."""

    def __init__(self, port: int, model: str = MODEL, clients: int = 4) -> None:
        self._port = port
        self._asked = row(1, 2, 3, name=model)
        self._stop = threading.Event()
        self.answers = 0
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int) -> None:
        """Wait for so many answers from now on."""
        wanted = self.answers + count
        wait_until(lambda: self.answers >= wanted or bool(self.failures), "more answers", 60.0)

    def _call(self) -> None:
        # Each its own connection, and two calls on it at all times.
        client = Client(self._port, [("grpc.use_local_subchannel_pool", 1)])
        method = client.method("ModelInfer")
        while not self._stop.is_set():
            for call in [method.future(self._asked, timeout=_PATIENCE_S) for _ in range(2)]:
                try:
                    call.result()
                except grpc.RpcError as error:
                    self.failures.append(str(error))
                else:
                    self.answers += 1
        client.channel.close()
