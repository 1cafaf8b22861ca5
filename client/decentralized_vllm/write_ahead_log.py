"""Turns on SQLite's write-ahead log, also while others open the same new file.

SQLite does not wait, whatever its busy timeout, when two connections turn the log on at the same
time: both hold a read lock that the other's change has to see gone, so one is refused at once.
"""

import random
import sqlite3
import time

RETRY_S = 0.02


def use_write_ahead_log(connection: sqlite3.Connection, patience_s: float) -> None:
    """Raises sqlite3.OperationalError (busy) when others kept the file for `patience_s`."""
    given_up_s = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > given_up_s:
                raise
        time.sleep(random.uniform(0, RETRY_S))


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
