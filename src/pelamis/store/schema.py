"""The SQLite file: its layout, its settings, and what makes it unusable.

One table is the log of all versions; ``log_key`` finds the versions of a key. A deletion is a row without a value.
The newest row is never removed, so the revision survives compaction and restart.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO

from pelamis.store.types import Unusable

FORMAT = 1
FILE = "state.db"
_CHECKPOINT = 16_000_000
"""Bytes of log after which it is copied into the file, and both are synced: that costs tens of milliseconds."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE log (
    rev INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    create_rev INTEGER NOT NULL,
    prev_rev INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    value BLOB
);
CREATE UNIQUE INDEX log_key ON log (key, rev);
CREATE INDEX log_expires ON log (expires) WHERE expires > 0;
"""


def lock(directory: Path) -> IO[bytes]:
    """Take the directory for this process, until the file returned is closed."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = open(directory / "lock", "a+b")  # noqa: SIM115 (held open for the life of the store)
    except OSError as error:
        raise Unusable(
            f"cannot use the data directory {directory}: {error.strerror}. "
            "Choose another with --data-dir, or give this user the right to write there."
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise Unusable(
            f"the data directory {directory} is in use by another running server. "
            "Stop that one first, or start this one with another --name or --data-dir."
        ) from None
    return handle


def connect(path: Path, *, reader: bool = False) -> sqlite3.Connection:
    """Autocommit mode: transactions are explicit. The writer is used by two threads in turn, never at once."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=32)
    for pragma in ("busy_timeout=5000", "cache_size=-4000"):
        connection.execute(f"PRAGMA {pragma}")
    if reader:
        connection.execute("PRAGMA query_only=ON")
        return connection
    # A write touches the end of the table and some page of the index: small pages make the log a third smaller. The
    # size is that of the first start for ever. What compaction removes is overwritten where the page is written anyway:
    # some builds of SQLite write each removed page once more, which is most of what compaction costs.
    for pragma in ("page_size=4096", "journal_mode=WAL", "synchronous=FULL", "secure_delete=FAST"):
        connection.execute(f"PRAGMA {pragma}")
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT // page}")
    return connection


def prepare(directory: Path) -> sqlite3.Connection:
    """The writing connection to the file of ``directory``, which is made or checked. Raises Unusable."""
    path = directory / FILE
    fresh = not path.exists()
    try:
        connection = connect(path)
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            connection.executescript(f"BEGIN;{_TABLES}INSERT INTO meta VALUES ('format', '{FORMAT}');COMMIT;")
        if fresh:
            _sync_directory(directory)
        row = connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
    except sqlite3.DatabaseError as error:
        raise Unusable(explain(path, error)) from error
    if row is None or row[0] != str(FORMAT):
        found = row[0] if row is not None else "unknown"
        connection.close()
        raise Unusable(
            f"{path} was written in data format {found}, and this version reads format {FORMAT}. "
            "Start the version that wrote it, or choose an empty --data-dir (the old data stays where it is)."
        )
    return connection


def explain(path: Path, error: sqlite3.DatabaseError) -> str:
    """What a failure to open means to the user."""
    if is_full(error):
        return f"the disk that holds {path} is full: free some space there, then start again."
    if getattr(error, "sqlite_errorname", "") in ("SQLITE_NOTADB", "SQLITE_CORRUPT") or "no such table" in str(error):
        return (
            f"{path} is not a store of this program, or it is damaged ({error}). "
            "Restore it from a backup, or choose an empty --data-dir."
        )
    return f"cannot open {path}: {error}. Check that this user may read and write it and that the disk is healthy."


def is_full(error: sqlite3.DatabaseError) -> bool:
    """No space: nothing was written, and it may work later. A failed sync is something else: nothing can be trusted."""
    return getattr(error, "sqlite_errorname", "") in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")


def _sync_directory(directory: Path) -> None:
    for path in (directory, directory.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
