"""The outbox's tables where several processes share one PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from decentralized_vllm.chain.store import tables
from decentralized_vllm.chain.store.schema import apply_schema
from tests.support.earlier_tables import (
    ATTEMPT_HASH,
    attempts_of,
    back_to_version_2,
    store_attempt,
)
from tests.support.postgresql import Cluster, postgresql_programs, running_cluster

PROCESSES = 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    with running_cluster(programs) as cluster:
        yield cluster


@pytest.fixture
def engine(cluster: Cluster) -> Engine:
    url = make_url(cluster.new_database()).set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool)


def prepare(engine: Engine) -> None:
    with engine.begin() as tx:
        apply_schema(tx, tables.COMPONENT, tables.SCHEMA_VERSION, tables.metadata)


def all_prepare(engine: Engine) -> None:
    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(prepare, [engine] * PROCESSES))


def test_new_database__several_start_at_once__each_finds_the_tables(engine: Engine) -> None:
    all_prepare(engine)
    with engine.begin() as tx:
        store_attempt(tx, "one", 1)
        store_attempt(tx, "two", 2)


def test_earlier_release__several_start_at_once__led_up_once(engine: Engine) -> None:
    prepare(engine)
    with engine.begin() as tx:
        store_attempt(tx, "one", 1)
        back_to_version_2(tx)
    all_prepare(engine)
    with engine.begin() as tx:
        store_attempt(tx, "two", 2)
        assert attempts_of(tx) == [(1, ATTEMPT_HASH, b"raw"), (2, ATTEMPT_HASH, b"raw")]
