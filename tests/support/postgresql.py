"""A PostgreSQL of the tests' own: a new cluster on a free port, ended by its pid.

Debian's package `postgresql` brings the programs; they refuse to run as root, so root lends the
cluster to the user of that package.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

SUPERUSER = "gateway"


@dataclass(frozen=True)
class Cluster:
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


def postgresql_programs() -> Path | None:
    """The newest installed version's folder of programs, None where there is none."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: float(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


@contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgresql-"))
    user = _server_user(folder)
    try:
        _initialise(programs, folder / "data", user)
        with _serving(programs, folder, user) as cluster:
            yield cluster
    finally:
        shutil.rmtree(folder)


def _server_user(folder: Path) -> str | None:
    """Whom the server has to run as; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    owner = pwd.getpwnam("postgres")
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return owner.pw_name


def _initialise(programs: Path, data: Path, user: str | None) -> None:
    command = [programs / "initdb", "--pgdata", data, "--username", SUPERUSER]
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [*command, *options], user=user, cwd=data.parent, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def _serving(programs: Path, folder: Path, user: str | None) -> Iterator[Cluster]:
    cluster = Cluster(_free_port())
    settings = ("fsync=off", "listen_addresses=127.0.0.1", "max_connections=200")
    command = [programs / "postgres", "-D", folder / "data", "-k", folder, "-p", str(cluster.port)]
    process = subprocess.Popen(
        [*command, *(part for setting in settings for part in ("-c", setting))],
        user=user,
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_serving(process, cluster)
        yield cluster
    finally:
        process.send_signal(2)  # ends at once, also with connections open
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_serving(process: subprocess.Popen[bytes], cluster: Cluster) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"postgres ended with {process.returncode}")
        try:
            psycopg.connect(cluster.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("postgres does not answer")
