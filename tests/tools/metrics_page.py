"""A small server that shows collected metrics at `/metrics`, as the gateway's does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from monitors.telemetry.prometheus import page
from monitors.telemetry.state import MetricPoints


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, collect: Callable[[], tuple[MetricPoints, ...]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.collect = collect


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        body, content_type = page(self.server.collect(), self.headers["Accept"])
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


@contextmanager
def serving(collect: Callable[[], tuple[MetricPoints, ...]]) -> Iterator[str]:
    """The `host:port` at which each request shows what `collect` gives then."""
    with _Server(collect) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
