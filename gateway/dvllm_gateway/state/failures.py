"""What a driver's error means to whoever asked the database for something."""

import logging
import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError

from dvllm_gateway.errors import GatewayError, InternalError, NetworkUnavailable

log = logging.getLogger(__name__)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# PostgreSQL's deadlock_detected and serialization_failure: the same work succeeds when it is done
# again, for nothing of it was kept.
_LOST_A_RACE = {"40P01", "40001"}


def as_gateway_error(error: DBAPIError) -> GatewayError:
    """NetworkUnavailable where trying again may help. The driver's words go to the log only."""
    log.error("database_failed", extra={"reason": str(error.orig)})
    known: GatewayError
    if _is_passing(error):
        known = NetworkUnavailable("the gateway's database does not answer")
    else:
        known = InternalError(f"the database refused: {type(error.orig).__name__}")
    known.__cause__ = error
    return known


def has_lost_a_race(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in _LOST_A_RACE


def _is_passing(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _BUSY
    return error.connection_invalidated or isinstance(error, OperationalError)
