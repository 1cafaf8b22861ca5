"""A real redis-server on a free port that keeps nothing, ended by its pid."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.local_server import local_server
from tests.support.ports import free_port

REDIS_SERVER = shutil.which("redis-server")

needs_redis = pytest.mark.skipif(
    REDIS_SERVER is None, reason="no redis-server here (Debian: apt-get install redis-server)"
)


@contextmanager
def running_redis(port: int | None = None) -> Iterator[str]:
    """Its URL; on a given port where it was before, or on a free one."""
    port = port or free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    command = [str(REDIS_SERVER), *arguments, "--loglevel", "warning"]
    with local_server(command, port):
        yield f"redis://127.0.0.1:{port}/0"
