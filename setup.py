"""What pyproject.toml cannot say: with `WEIR_COMPILE=1` a request's way is compiled to C.

mypyc takes the modules as they are (docs/compiling.md); without it they are interpreted, and do
the same.
"""

import os

from setuptools import setup

# Every request passes through these. A module that only starts, stops or watches gains nothing.
REQUEST_PATH = """
    serve/admission/gate serve/admission/limit
    serve/edge/bodies serve/edge/caller serve/edge/connection serve/edge/cycle
    serve/edge/grpc_call serve/edge/grpc_calls serve/edge/grpc_connection serve/edge/grpc_head
    serve/edge/grpc_messages serve/edge/grpc_reply serve/edge/grpc_unread serve/edge/head
    serve/edge/in_place
    serve/edge/infer serve/edge/one_write serve/edge/reading serve/edge/reception serve/edge/turns
    serve/edge/visit
    serve/case serve/exchange serve/gateway serve/prediction serve/router serve/trial
    serve/models/away serve/models/batch serve/models/batcher serve/models/caps serve/models/curve
    serve/models/expiry serve/models/frames serve/models/health serve/models/host_link
    serve/models/incoming serve/models/link serve/models/links serve/models/waiting
    serve/protocol/contract serve/protocol/grpc_answer serve/protocol/grpc_frames
    serve/protocol/grpc_request serve/protocol/grpc_status serve/protocol/grpc_timeout
    serve/protocol/http_answer serve/protocol/http_request
    serve/protocol/json_values serve/protocol/packed serve/protocol/parameters
    serve/protocol/tensors
    serve/recorder/counts serve/recorder/recorder serve/recorder/samples
"""

if os.environ.get("WEIR_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(
        ext_modules=mypycify(
            ["--config-file=pyproject.toml", *(f"{module}.py" for module in REQUEST_PATH.split())],
            opt_level="3",
            debug_level="0",
            group_name="weir",
        )
    )
else:
    setup()
