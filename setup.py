"""What pyproject.toml cannot say: with `WEIR_COMPILE=1` a request's way is compiled to C.

mypyc takes the modules as they are (docs/compiling.md); without it they are interpreted, and do
the same.
"""

import os

from setuptools import setup

# Every request passes through these. A module that only starts, stops or watches gains nothing.
COMPILED = [
    *(
        f"serve/protocol/{name}.py"
        for name in (
            "contract http_answer http_request json_values packed parameters tensors".split()
        )
    ),
    *(
        f"serve/edge/{name}.py"
        for name in "bodies caller connection cycle head infer one_write reading reception turns visit".split()
    ),
    *(
        f"serve/models/{name}.py"
        for name in (
            "away batch batcher caps curve expiry frames health host_link incoming link links "
            "waiting".split()
        )
    ),
    *(f"serve/recorder/{name}.py" for name in ("counts", "recorder", "samples")),
    *(f"serve/admission/{name}.py" for name in ("gate", "limit")),
    *(f"serve/{name}.py" for name in ("exchange", "gateway", "prediction", "router")),
]

if os.environ.get("WEIR_COMPILE") == "1":
    from mypyc.build import mypycify

    setup(
        ext_modules=mypycify(
            ["--config-file=pyproject.toml", *COMPILED],
            opt_level="3",
            debug_level="0",
            group_name="weir",
        )
    )
else:
    setup()
