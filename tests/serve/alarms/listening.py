"""A real HTTP server that keeps what is posted to it, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Posted:
    """A request: its path, its headers by their names in lower case, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes


LOST = 0
"""In the place of a status: what came was taken, and the answer to it is lost on its way."""


@dataclass
class Listening:
    """What has come, and the statuses to answer with, one after the other; then 204.

    While `answering` is not set, nothing is answered at all.
    """

    url: str = ""
    posted: list[Posted] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    come_up: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.answering.set()


@contextmanager
def listening(*, up: bool = True) -> Iterator[Listening]:
    """Listen on a free port of loopback while the block runs, at once or from `come_up` on.

    Until then the port is taken, so that it is nobody else's, and connections are refused.
    """
    state = Listening()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = state.answers.pop(0) if state.answers else 204
            state.posted.append(Posted(self.path, headers, body))
            state.answering.wait()
            if status == LOST:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Location", state.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.server_bind()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))

        def come_up() -> None:
            server.server_activate()
            thread.start()

        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        state.come_up = come_up
        if up:
            come_up()
        try:
            yield state
        finally:
            state.answering.set()
            if thread.ident is not None:
                server.shutdown()
                thread.join()
