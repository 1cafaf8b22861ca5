"""PostgreSQL that cuts connections, is not there, or finds a deadlock."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import Connection, func, select, text

from decentralized_vllm.protocol.ids import Wei
from dvllm_gateway.errors import NetworkUnavailable
from dvllm_gateway.ids import AccountId
from dvllm_gateway.services.stores import Movement
from dvllm_gateway.state import SqlAccountStore, open_database
from dvllm_gateway.state.money import Change, move
from tests.support.gateway_tasks import ALICE, BOB
from tests.support.postgresql import Cluster, new_cluster, postgresql_programs


def cut_connections(tx: Connection) -> None:
    """All but its own."""
    tx.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


async def test_database__connections_cut_while_idle__goes_on(cluster: Cluster) -> None:
    url = cluster.new_database()
    async with open_database(url) as database, open_database(url) as other:
        accounts = SqlAccountStore(database)
        await accounts.grant(BOB, Wei(5), reason="test", at_ms=1)
        await other.write(cut_connections)
        assert (await accounts.balance(BOB)).available_wei == 5


async def test_database__connection_cut_in_a_transaction__is_retryable_and_undone(
    cluster: Cluster,
) -> None:
    def slow(tx: Connection) -> None:
        move(tx, BOB, [Change(Movement.GRANT, 5, 0, 1)])
        tx.execute(select(func.pg_sleep(20)))

    url = cluster.new_database()
    async with open_database(url) as database, open_database(url) as other:
        writing = asyncio.create_task(database.write(slow))
        await asyncio.sleep(0.5)
        await other.write(cut_connections)
        with pytest.raises(NetworkUnavailable):
            await writing
        assert (await SqlAccountStore(database).balance(BOB)).available_wei == 0


async def test_database__server_gone__is_retryable_until_it_is_back() -> None:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with new_cluster(programs) as cluster:
        async with AsyncExitStack() as opened:
            with cluster.running():
                location = cluster.new_database()
                database = await opened.enter_async_context(open_database(location))
                accounts = SqlAccountStore(database)
                await accounts.grant(BOB, Wei(3), reason="test", at_ms=1)
            with pytest.raises(NetworkUnavailable):
                await accounts.balance(BOB)
            with pytest.raises(NetworkUnavailable):
                await accounts.grant(BOB, Wei(5), reason="test", at_ms=1)
            with cluster.running():
                await accounts.grant(BOB, Wei(7), reason="test", at_ms=1)
                assert (await accounts.balance(BOB)).available_wei == 10


async def test_database__server_vanishes_without_a_word__is_not_waited_for_long(
    cluster: Cluster,
) -> None:
    """As when its machine loses power: nothing but the system's own probes can tell."""

    def patience_s(tx: Connection) -> tuple[int, float]:
        driver = tx.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as line:
            option = [
                line.getsockopt(socket.IPPROTO_TCP, name)
                for name in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            ]
        return option[0] + option[1] * option[2], option[3] / 1000

    async with open_database(cluster.new_database()) as database:
        for waited_s in await database.read(patience_s):
            assert 0 < waited_s <= 15


async def test_database__deadlock__both_are_done_in_the_end(cluster: Cluster) -> None:
    def moving(*order: AccountId) -> Callable[[Connection], None]:
        def work(tx: Connection) -> None:
            for account in order:
                move(tx, account, [Change(Movement.GRANT, 5, 0, 1)])
                tx.execute(select(func.pg_sleep(0.4)))

        return work

    async with open_database(cluster.new_database()) as database:
        await database.write(moving(ALICE, BOB))
        await asyncio.gather(database.write(moving(ALICE, BOB)), database.write(moving(BOB, ALICE)))
        for account in (ALICE, BOB):
            assert (await SqlAccountStore(database).balance(account)).available_wei == 15
