"""What the source must not do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SECRETS = {"secret", "digest", "token", "authorization"}
FILES = sorted(
    path
    for room in ("registry", "serve")
    for path in (CHECKOUT / room).rglob("*.py")
    if path.parent.name == "access" or "key" in path.stem
)


def compared(source: str) -> Iterator[str]:
    """Every comparison by `==` or `!=` of something that is named like a secret."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and any(
            isinstance(how, ast.Eq | ast.NotEq) for how in node.ops
        ):
            for side in (node.left, *node.comparators):
                name = getattr(side, "attr", getattr(side, "id", ""))
                if name in SECRETS:
                    yield ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_no_secret_is_compared_byte_by_byte(path: Path) -> None:
    """Secrets are compared in a time that does not depend on them: with `hmac.compare_digest`."""
    assert list(compared(path.read_text())) == []


def test_the_check_sees_a_comparison() -> None:
    """The check above finds what it looks for."""
    assert list(compared("if key.digest == shown: pass")) == ["key.digest == shown"]
    assert list(compared("a = secret != b")) == ["secret != b"]
