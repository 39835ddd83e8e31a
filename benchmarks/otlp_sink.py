"""Takes what Weir exports over OTLP/HTTP and counts it, so that tracing is on and seen to be."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink:
    """Where to send, and how many bytes came in by path."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.bytes: Counter[str] = Counter()

    @property
    def traces(self) -> int:
        """Bytes of spans that came in."""
        return self.bytes["/v1/traces"]


@contextmanager
def listening() -> Iterator[Sink]:
    """A sink on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            sink.bytes[self.path] += len(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink = Sink(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
