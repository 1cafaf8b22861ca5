"""Brings a database's tables up to this release, in one transaction, one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, func, select
from sqlalchemy.exc import DBAPIError

from decentralized_vllm.protocol.errors import SettingError
from dvllm_gateway.state.postgresql import connect_arguments
from dvllm_gateway.state.sqlite import writing_engine

_LOCK = 0x64766C6C6D  # any number of our own: it names the lock on PostgreSQL


def migrate(url: URL) -> None:
    """Raises SettingError for a database of a newer release, or one that can not be used."""
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            _upgrade(connection)
    except DBAPIError as error:
        raise SettingError("database", f"can not be used: {error.orig}") from error
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, connect_args=connect_arguments())
    try:
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError("database", f"can not be used: {error}") from error
    return writing_engine(url)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    _check_known(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")


def _check_known(connection: Connection, script: ScriptDirectory) -> None:
    for revision in MigrationContext.configure(connection).get_current_heads():
        try:
            script.get_revision(revision)
        except CommandError as error:
            raise SettingError(
                "database",
                f"its tables are of version {revision}, written by a newer release",
                hint="use the release that wrote it, or another database",
            ) from error
