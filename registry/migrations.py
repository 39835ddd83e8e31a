"""Brings a registry's file to the schema that this program knows, in one step or not at all.

`schema_1.sql` makes a new file; each file after it turns the version before into its own, so that a
file of any age takes the steps that it lacks, and a new one takes all of them.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from configs.errors import StartError

SCHEMA_VERSION = 4


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Take the steps that are missing, in one transaction.

    `StartError` for a file that is newer than this program, or not a registry.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA_VERSION:
        raise StartError(
            f"{path} was written by a newer Weir (schema {found}, this one knows "
            f"{SCHEMA_VERSION}): start the newer one"
        )
    if found == 0 and db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise StartError(f"{path} is a database, but not a registry of Weir")
    missing = range(found + 1, SCHEMA_VERSION + 1)
    if missing:
        steps = "\n".join(map(step, missing))
        # When a step fails the caller closes the connection, which takes all of them back.
        db.executescript(f"BEGIN IMMEDIATE;\n{steps}\nCOMMIT;")


def step(version: int) -> str:
    """The statements that lead to a version of the schema from the one before."""
    return Path(__file__).with_name(f"schema_{version}.sql").read_text(encoding="utf-8")
