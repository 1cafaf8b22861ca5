"""The plan says what the constructors take, in their order, and where contracts will be."""

import json
from importlib.resources import files
from typing import Any

import pytest
import rlp
from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from decentralized_vllm.protocol.deployment_plan import (
    LOCAL_BOUNDS,
    PUBLIC_BOUNDS,
    PUBLIC_CLOCKS,
    PUBLIC_TERMS,
    NetworkSettings,
    Step,
    constructor_names,
    constructor_values,
    contract_address,
    deployment_steps,
    predicted_addresses,
    public_network,
)
from decentralized_vllm.protocol.ids import Address

DEPLOYER = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
TREASURY = Address("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
TOKEN = Address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")


def settings(token: Address | None = None) -> NetworkSettings:
    return public_network(DEPLOYER, TREASURY, token)


def constructor_inputs(step: Step) -> list[dict[str, Any]]:
    path = files("decentralized_vllm.chain").joinpath("abi", f"{step.contract}.json")
    abi = json.loads(path.read_text("utf-8"))["abi"]
    (constructor,) = (entry for entry in abi if entry["type"] == "constructor")
    inputs: list[dict[str, Any]] = constructor["inputs"]
    return inputs


def names_of(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Name → None, or the names of a struct's fields, in the order of the ABI."""
    return {i["name"]: names_of(i["components"]) if "components" in i else None for i in inputs}


def names_in(named: dict[str, Any]) -> dict[str, Any]:
    return {name: names_in(v) if isinstance(v, dict) else None for name, v in named.items()}


@pytest.mark.parametrize("token", [None, TOKEN])
def test_plan__every_step__names_the_constructors_parameters_in_order(
    token: Address | None,
) -> None:
    steps = deployment_steps(settings(token))
    addresses = predicted_addresses(steps, DEPLOYER, 0)
    for step in steps:
        inputs = constructor_inputs(step)
        named = constructor_names(step, addresses)
        assert json.dumps(names_in(named)) == json.dumps(names_of(inputs))
        types = [collapse_if_tuple(i) for i in inputs]
        assert encode(types, constructor_values(step, addresses))


def test_plan__addresses__refer_to_the_other_contracts() -> None:
    steps = deployment_steps(settings())
    assert [step.name for step in steps] == [
        "token",
        "coordinator",
        "model_registry",
        "node_registry",
    ]
    addresses = predicted_addresses(steps, DEPLOYER, 7)
    config = constructor_names(steps[1], addresses)["c"]
    assert isinstance(config, dict)
    assert config["token"] == contract_address(DEPLOYER, 7)
    assert config["modelRegistry"] == contract_address(DEPLOYER, 9)
    assert config["nodeRegistry"] == contract_address(DEPLOYER, 10)
    assert config["treasury"] == TREASURY
    assert constructor_values(steps[3], addresses) == (contract_address(DEPLOYER, 8),)


def test_plan__existing_token__deploys_none() -> None:
    steps = deployment_steps(settings(TOKEN))
    assert "token" not in [step.name for step in steps]
    config = constructor_names(steps[0], predicted_addresses(steps, DEPLOYER, 0))["c"]
    assert isinstance(config, dict)
    assert config["token"] == TOKEN


@pytest.mark.parametrize(
    ("nonce", "address"),
    [
        (0, "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        (1, "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"),
        (127, None),
        (128, None),
        (255, None),
        (256, None),
        (65_535, None),
        (65_536, None),
    ],
)
def test_contract_address__nonce__is_that_of_create(nonce: int, address: str | None) -> None:
    found = contract_address(DEPLOYER, nonce)
    preimage = rlp.encode([bytes.fromhex(DEPLOYER[2:]), nonce])
    assert found.lower() == "0x" + keccak(preimage)[12:].hex()
    assert address is None or found == address


def test_public_network__own_terms__are_within_its_bounds() -> None:
    for bounds in (PUBLIC_BOUNDS, LOCAL_BOUNDS):
        assert bounds.min_max_fee_gwei <= PUBLIC_TERMS.max_fee_gwei <= bounds.max_max_fee_gwei
        assert bounds.min_lease_s <= PUBLIC_TERMS.lease_s <= bounds.max_lease_s
        assert bounds.min_open_s <= PUBLIC_TERMS.open_s <= bounds.max_open_s
    assert PUBLIC_CLOCKS.cool_down_s >= 2 * PUBLIC_CLOCKS.epoch_s
