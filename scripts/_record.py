"""deployment.json: what was deployed where, one entry per chain id."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click


def read_record(path: Path) -> dict[str, Any]:
    """Chain id → entry; empty without a file. Raises ClickException if it is no such record."""
    if not path.exists():
        return {}
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise click.ClickException(f"{path} is not a record of deployments: {error}") from error
    return record


def require_free(record: dict[str, Any], chain_id: int, replace: bool) -> None:
    """Before the first transaction. Raises UsageError if the chain has an entry to be kept."""
    if str(chain_id) in record and not replace:
        raise click.UsageError(
            f"chain {chain_id} has a deployment on record; --replace forgets its addresses"
        )


def write_entry(path: Path, chain_id: int, contracts: dict[str, Any]) -> None:
    """Changes this chain's entry only. The file is whole at every moment."""
    record = read_record(path)
    record[str(chain_id)] = {"chain_id": chain_id, "contracts": contracts}
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        json.dump(record, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
