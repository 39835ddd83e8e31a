"""Where the processes of a gateway write their log: one file in the data folder."""

from __future__ import annotations

import logging
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"


def log_path(data: Path) -> Path:
    """Give the path of the log of the gateway with this data folder."""
    return data / "weir.log"


def log_to(data: Path) -> None:
    """Append what this process has to say to the log; a line is written whole or not at all."""
    handler = logging.FileHandler(log_path(data))
    handler.setFormatter(logging.Formatter(_FORMAT))
    for name in ("weir", "uvicorn"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False
