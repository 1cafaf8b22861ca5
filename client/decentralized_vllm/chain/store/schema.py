"""Which version of a component's tables a database holds."""

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
    text,
    update,
)

from decentralized_vllm.protocol.errors import SettingError

_versions = Table(
    "schema_version",
    MetaData(),
    Column("component", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
)

_LOCK = 0x64764C4C4D02  # any number that no other lock of this database has

UPGRADES = "upgrades"
"""Key of a MetaData's `info`: version → the statements that lead to it from the one before, as
text or as SQLAlchemy's own where the dialects differ."""


def apply_schema(connection: Connection, component: str, version: int, tables: MetaData) -> None:
    """Creates the tables, or leads those that are there up to this version.

    One process at a time does so, of those that share the database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    _versions.metadata.create_all(connection)
    query = select(_versions.c.version).where(_versions.c.component == component)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        tables.create_all(connection)
        connection.execute(insert(_versions).values(component=component, version=version))
    elif found != version:
        _upgrade(connection, component, range(found + 1, version + 1), tables)


def _upgrade(connection: Connection, component: str, steps: range, tables: MetaData) -> None:
    known = tables.info.get(UPGRADES, {})
    if not steps or any(step not in known for step in steps):
        raise _other_release(component, found=steps.start - 1, written=steps.stop - 1)
    for step in steps:
        for statement in known[step]:
            connection.execute(text(statement) if isinstance(statement, str) else statement)
    ours = _versions.c.component == component
    connection.execute(update(_versions).where(ours).values(version=steps[-1]))


def _other_release(component: str, *, found: int, written: int) -> SettingError:
    age = "a newer" if found > written else "an older"
    return SettingError(
        "database",
        f"its tables of {component} are version {found}, written by {age} release "
        f"(this one writes {written})",
        hint="use the release that wrote it, or another file",
    )
