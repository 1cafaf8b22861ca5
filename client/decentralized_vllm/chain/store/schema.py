"""Which version of a component's tables a database holds."""

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from decentralized_vllm.protocol.errors import SettingError

_versions = Table(
    "schema_version",
    MetaData(),
    Column("component", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
)


def apply_schema(connection: Connection, component: str, version: int, tables: MetaData) -> None:
    """Creates the tables, or checks that the ones there are of this version."""
    _versions.metadata.create_all(connection)
    query = select(_versions.c.version).where(_versions.c.component == component)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        tables.create_all(connection)
        connection.execute(insert(_versions).values(component=component, version=version))
    elif found != version:
        age = "a newer" if found > version else "an older"
        raise SettingError(
            "database",
            f"its tables of {component} are version {found}, written by {age} release "
            f"(this one writes {version})",
            hint="use the release that wrote it, or another file",
        )
