"""What the documentation tells receivers of webhooks to do, as they would run it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "alarms.md"


def is_from_weir() -> Callable[..., bool]:
    """The function that says whether a request is signed, from the page about alarms."""
    (lines,) = re.findall(r"```python\n(import base64.*?)```", PAGE.read_text(), re.DOTALL)
    space: dict[str, Any] = {}
    exec(lines, space)  # noqa: S102 - what users are told to run
    found: Callable[..., bool] = space["is_from_weir"]
    return found
