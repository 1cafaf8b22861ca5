"""Tables: made and brought up to date at start, by one process at a time."""

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from decentralized_vllm.protocol.errors import SettingError
from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.state import SqlAccountStore, database_url, open_database
from dvllm_gateway.state.tables import metadata
from tests.support.gateway_tasks import BOB


async def test_migrations__empty_database__makes_the_tables_the_code_speaks_of(
    location: str,
) -> None:
    def differences(tx: Connection) -> list[object]:
        context = MigrationContext.configure(tx, opts={"compare_type": False})
        return list(compare_metadata(context, metadata))

    async with open_database(location) as database:
        assert await database.read(differences) == []


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
