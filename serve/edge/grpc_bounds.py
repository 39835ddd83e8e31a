"""What a client may do on a gRPC connection, as libnghttp2 is told."""

from __future__ import annotations

from ngh2 import Configuration, Setting

from serve.edge.grpc_head import METADATA_MAX_BYTES

STREAMS_MAX = 256
_STREAM_WINDOW = 4 * 2**20
CONNECTION_WINDOW = 16 * 2**20
"""What may be on its way; it is given back as it arrives, and counts among the bodies then."""
SETTINGS = {
    Setting.MAX_CONCURRENT_STREAMS: STREAMS_MAX,
    Setting.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
    Setting.MAX_HEADER_LIST_SIZE: METADATA_MAX_BYTES,
}
BOUNDS = Configuration(
    auto_window_update=False,
    # Above what a call may have, which is told to the caller: this ends the connection.
    max_inbound_header_list_size=2 * METADATA_MAX_BYTES,
    max_inbound_header_count=1024,
    max_continuations=8,
    max_settings=32,
    max_outbound_ack=256,
    # Streams that the client resets: so many at once, and so many a second.
    stream_reset_rate_limit=(1000, 200),
)
