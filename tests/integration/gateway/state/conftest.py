"""Every test here runs on SQLite and on a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

from dvllm_gateway.state import Database, open_database
from tests.support.postgresql import Cluster, postgresql_programs, running_cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty database is: a path or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "gateway.sqlite")
    cluster: Cluster = request.getfixturevalue("cluster")
    return cluster.new_database()


@pytest.fixture
async def database(location: str) -> AsyncIterator[Database]:
    async with open_database(location) as database:
        yield database


Elsewhere = Callable[[str, str, str], None]


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """`elsewhere(url, "SELECT a", "DELETE …")`: right after this process has sent a statement
    that begins so, and once, another one commits that."""
    due: list[tuple[str, str, str]] = []

    def look(_: Any, __: Any, statement: str, *___: Any) -> None:
        for url, after, commits in [each for each in due if statement.startswith(each[1])]:
            due.remove((url, after, commits))
            with psycopg.connect(url) as connection:
                connection.execute(commits.encode())

    event.listen(Engine, "after_cursor_execute", look)
    try:
        yield lambda url, after, commits: due.append((url, after, commits))
        assert not due
    finally:
        event.remove(Engine, "after_cursor_execute", look)
