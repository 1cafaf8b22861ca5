"""Tables: made and brought up to date at start, by one process at a time."""

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import Conflict
from dvllm_gateway.services.idempotency import StoredIdempotency
from dvllm_gateway.services.ports import StoredReply
from dvllm_gateway.state import (
    SqlAccountStore,
    SqlIdempotencyStore,
    SqlTaskStore,
    database_url,
    migrations,
    open_database,
)
from dvllm_gateway.state.tables import metadata
from tests.support.gateway_tasks import BOB, SENDER

FIRST_ROWS = (
    f"INSERT INTO account VALUES ('{BOB}', 1, '0', '1000')",
    "INSERT INTO task (id, account, model_id, prompt_cid, max_tokens, state, created_at_ms,"
    " reserved_wei, sender, ceiling_wei, share, cost_wei) VALUES ('01HF7YAT00000000000000TEST',"
    f" '{BOB}', :bytes, 'b', 5, 'pending', 1, '1000', '{SENDER}', '5', 1, '0')",
    "INSERT INTO task_text (task_id, prompt, document)"
    " VALUES ('01HF7YAT00000000000000TEST', :bytes, :bytes)",
    "INSERT INTO idempotency (account, key, digest, until_ms)"
    f" VALUES ('{BOB}', 'running', :digest, 9)",
    "INSERT INTO idempotency (account, key, digest, until_ms, status, body, headers)"
    f" VALUES ('{BOB}', 'over', :digest, 9, 200, :none, '{{}}')",
)


async def test_migrations__empty_database__makes_the_tables_the_code_speaks_of(
    location: str,
) -> None:
    def differences(tx: Connection) -> list[object]:
        context = MigrationContext.configure(tx, opts={"compare_type": False})
        return list(compare_metadata(context, metadata))

    async with open_database(location) as database:
        assert await database.read(differences) == []


async def test_migrations__tables_of_the_first_release__keep_what_is_there(location: str) -> None:
    _make_first_tables(location)
    async with open_database(location) as database:
        ((record, assignment),) = await SqlTaskStore(database).unfinished(SENDER)
        kept = StoredIdempotency(SqlIdempotencyStore(database), clock_ms=lambda: 1)
        with pytest.raises(Conflict, match="older release"):
            await kept.begin(BOB, "running", b"d", joins=True)
        assert await kept.begin(BOB, "over", b"d", joins=False) == StoredReply(200, b"{}", {})
    assert (record.prompt, record.account) == ("hello", BOB)
    assert not assignment.is_unwanted


def _make_first_tables(location: str) -> None:
    engine = create_engine(database_url(location))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in FIRST_ROWS:
            connection.execute(text(statement), {"bytes": b"hello", "digest": b"d", "none": b"{}"})
    engine.dispose()


async def test_open__a_second_time__keeps_what_is_there(location: str) -> None:
    async with open_database(location) as database:
        await SqlAccountStore(database).grant(BOB, Wei(5), reason="test", at_ms=1)
    async with open_database(location) as database:
        assert (await SqlAccountStore(database).balance(BOB)).available_wei == 5


async def test_open__by_several_at_once__makes_the_tables_once(location: str) -> None:
    async def use(n: int) -> None:
        async with open_database(location) as database:
            await SqlAccountStore(database).grant(BOB, Wei(n), reason="test", at_ms=1)

    await asyncio.gather(*(use(n) for n in range(1, 5)))
    async with open_database(location) as database:
        assert (await SqlAccountStore(database).balance(BOB)).available_wei == 10


async def test_open__database_of_a_newer_release__is_refused(location: str) -> None:
    async with open_database(location) as database:
        await database.write(
            lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")).rowcount
        )
    with pytest.raises(SettingError, match="9999, written by a newer release"):
        async with open_database(location):
            raise AssertionError("it was opened")


@pytest.mark.parametrize("location", ["mysql://x/y", "nonsense://"])
def test_database_url__unsupported__names_the_setting(location: str) -> None:
    with pytest.raises(SettingError, match=r"^database: "):
        database_url(location)


@pytest.mark.parametrize("location", ["", ":memory:", "sqlite://", "sqlite:///:memory:"])
def test_database_url__in_memory_alone__is_refused(location: str) -> None:
    with pytest.raises(SettingError, match="database: names no file"):
        database_url(location)


def test_database_url__port_that_is_none__names_the_setting_and_shows_nothing() -> None:
    """Whatever was meant: a password may stand where it does not belong."""
    with pytest.raises(SettingError, match="database: is neither") as refused:
        database_url("postgresql://user@host:hidden/gateway")
    assert "hidden" not in str(refused.value) and refused.value.__suppress_context__


async def test_open__folder_that_can_not_be_made__names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="database: can not be used"):
        async with open_database(tmp_path / "file" / "gateway.sqlite"):
            raise AssertionError("there is no such folder")


def test_database_url__without_a_driver__names_ours() -> None:
    assert database_url("postgresql://h/d").drivername == "postgresql+psycopg"
    assert database_url("sqlite:///x").drivername == "sqlite+pysqlite"
    assert database_url(Path("/tmp/x")).database == "/tmp/x"


async def test_open__nobody_there__names_the_setting() -> None:
    with pytest.raises(SettingError, match=r"^database: can not be used"):
        async with open_database("postgresql://gateway@127.0.0.1:1/none"):
            raise AssertionError("it was opened")


async def test_open__folder_instead_of_a_file__names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^database: can not be used"):
        async with open_database(tmp_path):
            raise AssertionError("it was opened")
