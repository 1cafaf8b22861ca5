"""What ape has built is what the library knows.

It keeps the build of a file that did not change, though one that it imports did; and a record must
not tell the interface of other code than was deployed.
"""

import json
from pathlib import Path

import click
from ape import project
from ethpm_types import ContractType

ABI = Path(__file__).resolve().parent.parent / "client" / "decentralized_vllm" / "chain" / "abi"
HALVES = {"InferenceCoordinator": ("InferenceCoordinator", "CoordinatorOffice")}


def require_current_build(contracts: set[str]) -> None:
    """Raises ClickException."""
    for name in sorted(contracts & {path.stem for path in ABI.glob("*.json")}):
        if built_calls(name) != known_calls(name):
            raise click.ClickException(
                f"ape's build of {name} is not the contract that the library knows; "
                "remove .build and run again, after scripts/export_abi.py where contracts changed"
            )


def built_calls(name: str) -> set[str]:
    """Selectors of functions and events."""
    halves = HALVES.get(name, (name,))
    return {each for half in halves for each in _calls(project.get_contract(half).contract_type)}


def known_calls(name: str) -> set[str]:
    exported = json.loads((ABI / f"{name}.json").read_text())
    return _calls(ContractType(abi=exported["abi"]))


def _calls(contract: ContractType) -> set[str]:
    return {entry.selector for entry in contract.abi if entry.type in ("function", "event")}
