"""Writes into a page of the documentation, between two comments; the rest is left alone."""

from __future__ import annotations


def placed(page: str, what: str, begin: str, end: str, text: str) -> str:
    """A page with a text between its two comments; `ValueError` if it lacks one for `what`."""
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        message = f"{what} the lines {begin} and {end}"
        raise ValueError(message)
    return f"{before}{begin}\n{text}\n{end}{after}"
