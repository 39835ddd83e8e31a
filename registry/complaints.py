"""What the model runtime complains of, as a person who sent the model may read it."""

from __future__ import annotations

import re

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : ")
_SOURCE = re.compile(r"\S+\.(?:h|hpp|cc|cpp):\d+ [^()]*\([^()]*\)(?: const)? ?")
"""The place in the runtime's own source, and the function, that it puts before some complaints."""


def plain(complaint: Exception) -> str:
    """A complaint in one line, without the runtime's own class, files and functions."""
    return " ".join(_SOURCE.sub("", _PREFIX.sub("", str(complaint))).split())
