"""The network's contracts: deployed once per chain, and known again when it comes back."""

import json
from pathlib import Path

from eth_account import Account
from pydantic_core import from_json

from decentralized_vllm.chain.deployment import Deployment, deploy, read_deployments
from decentralized_vllm.chain.rpc import Rpc
from decentralized_vllm.chain.verification import verify_coordinator
from decentralized_vllm.protocol.errors import AbiMismatch, NoContract
from dvllm_devnet import saved_state
from dvllm_devnet.accounts import DevAccount
from dvllm_devnet.contract_settings import network_settings
from dvllm_devnet.errors import UnusableState
from dvllm_devnet.layout import Layout
from dvllm_devnet.settings import DevnetSettings


async def ensure_contracts(
    rpc: Rpc, layout: Layout, settings: DevnetSettings, deployer: DevAccount
) -> Deployment:
    """Raises UnusableState when what is deployed was built, or set, otherwise than now."""
    if layout.deployment.exists():
        known = read_deployments(layout.deployment).get(rpc.chain_id)
        if known is not None and await _is_there(rpc, known):
            _check_settings(layout, settings)
            return known
        # The saved chain is older than the deployment, or another one.
        saved_state.forget_chain(layout)
    born_with = network_settings(settings, deployer.address)
    deployment = await deploy(rpc, Account.from_key(deployer.private_key), born_with)
    _write(layout.born_with, json.dumps(settings.fixed_at_deployment, indent=2))
    record = {str(rpc.chain_id): deployment.model_dump(mode="json")}
    _write(layout.deployment, json.dumps(record, indent=2))
    return deployment


async def _is_there(rpc: Rpc, deployment: Deployment) -> bool:
    address = deployment.coordinator.address
    try:
        await verify_coordinator(rpc, address)
    except NoContract:
        return False
    except AbiMismatch as error:
        raise UnusableState(
            "--fresh", "the saved network has contracts of another release", hint="use FRESH=1"
        ) from error
    return True


def _check_settings(layout: Layout, settings: DevnetSettings) -> None:
    born_with = from_json(layout.born_with.read_bytes()) if layout.born_with.exists() else {}
    for section, fields in settings.fixed_at_deployment.items():
        for name, value in fields.items():
            if born_with.get(section, {}).get(name) != value:
                raise UnusableState(
                    f"{section}.{name}",
                    "is another one than the saved network was deployed with",
                    hint="use FRESH=1 for a new network, or put the old value back",
                )


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)
