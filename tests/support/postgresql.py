"""A PostgreSQL of the tests' own: a new cluster on a free port, ended by its pid.

Debian's package `postgresql` brings the programs; they refuse to run as root, so root lends the
cluster to the user of that package.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.support.ports import free_port

SUPERUSER = "gateway"


@dataclass(frozen=True)
class Cluster:
    """`folder` holds its data; it runs as `user`, or as whoever runs the tests."""

    programs: Path
    folder: Path
    port: int
    user: str | None

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    @contextmanager
    def running(self) -> Iterator[None]:
        process = self._start()
        try:
            self._wait_until_serving(process)
            yield
        finally:
            process.send_signal(signal.SIGINT)  # ends at once, also with connections open
            process.wait(timeout=30)

    def _start(self) -> subprocess.Popen[bytes]:
        settings = ("fsync=off", "listen_addresses=127.0.0.1", "max_connections=200")
        data, port = self.folder / "data", str(self.port)
        command = [self.programs / "postgres", "-D", data, "-k", self.folder, "-p", port]
        return subprocess.Popen(
            [*command, *(part for setting in settings for part in ("-c", setting))],
            user=self.user,
            cwd=self.folder,
            stderr=subprocess.DEVNULL,
        )

    def _wait_until_serving(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"postgres ended with {process.returncode}")
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("postgres does not answer")


def postgresql_programs() -> Path | None:
    """The newest installed version's folder of programs, None where there is none."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


@contextmanager
def new_cluster(programs: Path) -> Iterator[Cluster]:
    """One that does not run yet."""
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
    try:
        cluster = Cluster(programs, folder, free_port(), _server_user(folder))
        _initialise(cluster)
        yield cluster
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    with new_cluster(programs) as cluster, cluster.running():
        yield cluster


def _server_user(folder: Path) -> str | None:
    """Whom the server has to run as; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    owner = pwd.getpwnam("postgres")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return owner.pw_name


def _initialise(cluster: Cluster) -> None:
    command = [cluster.programs / "initdb", "--pgdata", cluster.folder / "data"]
    options = ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
    subprocess.run(
        [*command, *options, "--no-sync"],
        user=cluster.user,
        cwd=cluster.folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
