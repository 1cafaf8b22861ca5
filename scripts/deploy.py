"""`ape run deploy --network ecosystem:network:provider --account NAME`: the whole plan, recorded.

One transaction per contract. It writes deployment.json as soon as all of them are mined.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click
from ape import accounts, networks, project
from ape.api import AccountAPI
from ape.cli import ConnectedProviderCommand

HERE = Path(__file__).resolve().parent
ABI = HERE.parent / "client" / "decentralized_vllm" / "chain" / "abi"
LOCAL_CHAINS = (1337, 31337)


@click.command(cls=ConnectedProviderCommand)
@click.option("--account", help="Name of an ape account; a test account on local chains.")
@click.option("--owner", help="Address of the owner, better a timelock; the deployer by default.")
@click.option("--treasury", help="Address that fees and penalties go to; the owner by default.")
@click.option("--token", help="An existing ERC-20 of 18 decimals, not a new NEURO.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The record.")
@click.option("--replace", is_flag=True, help="Deploy again where a deployment is on record.")
def cli(
    account: str | None,
    owner: str | None,
    treasury: str | None,
    token: str | None,
    output: Path | None,
    replace: bool,
) -> None:
    """Deploy the contracts and write deployment.json."""
    sys.path.insert(0, str(HERE))  # ape runs this file from elsewhere
    from _build import require_current_build
    from _plan import load_plan
    from _record import read_record, require_free, write_entry
    from _token import require_token

    plan = load_plan()
    path = output or HERE.parent / "deployment.json"
    chain_id = networks.provider.chain_id
    require_free(read_record(path), chain_id, replace)
    if token is not None:
        require_token(token)
    deployer = _deployer(account, chain_id)
    owner = owner or str(deployer.address)
    settings = plan.public_network(owner, treasury or owner, token)
    require_current_build({step.contract for step in plan.deployment_steps(settings)})
    contracts = carry_out(plan, settings, deployer)
    write_entry(path, chain_id, contracts)
    click.echo(f"chain {chain_id}: recorded in {path}")


def _deployer(name: str | None, chain_id: int) -> AccountAPI:
    if name is not None:
        return accounts.load(name)
    if chain_id not in LOCAL_CHAINS:
        raise click.UsageError("name the deploying account with --account")
    return accounts.test_accounts[0]


def carry_out(plan: Any, settings: Any, deployer: AccountAPI) -> dict[str, Any]:
    """The record of a chain: step's name → what was deployed where. Raises ClickException."""
    steps = plan.deployment_steps(settings)
    addresses = plan.predicted_addresses(steps, str(deployer.address), deployer.nonce)
    contracts = {}
    for step in steps:
        factory = getattr(project, step.contract)
        instance = deployer.deploy(factory, *plan.constructor_values(step, addresses))
        if str(instance.address) != addresses[step.name]:
            raise click.ClickException(
                f"{step.contract} is not where it was planned: another transaction of this "
                "account came between; nothing was recorded, deploy again"
            )
        receipt = instance.creation_metadata.receipt
        contracts[step.name] = {
            "address": addresses[step.name],
            "block": receipt.block_number,
            "transaction": receipt.txn_hash,
            "abi_hash": json.loads((ABI / f"{step.contract}.json").read_text())["abiHash"],
            "arguments": plan.constructor_names(step, addresses),
        }
        click.echo(f"{step.contract}: {addresses[step.name]}")
    return contracts
