"""A network as `ape run deploy` makes it: with a model, a node on duty, a requester in credit."""

from types import SimpleNamespace

import pytest
from _plan import load_plan
from ape import Contract
from deploy import carry_out
from exports import exported

STAKE = 10_000 * 10**18
CREDIT = 1_000 * 10**18
MODEL_ID, MODEL_CID = "gpt-3.5-turbo", "QmModelHash789"


@pytest.fixture(scope="session")
def plan():
    return load_plan()


@pytest.fixture
def owner(accounts):
    return accounts[0]


@pytest.fixture
def requester(accounts):
    return accounts[1]


@pytest.fixture
def worker(accounts):
    return accounts[2]


@pytest.fixture
def record(plan, owner):
    settings = plan.public_network(owner.address, owner.address)
    return carry_out(plan, settings, owner)


@pytest.fixture
def market(plan, record):
    """The contracts by the names of the plan's steps, with the ABIs that the library has."""
    steps = plan.deployment_steps(plan.public_network("", ""))
    contracts = {step.name: step.contract for step in steps}
    return SimpleNamespace(
        **{
            name: Contract(record[name]["address"], abi=exported(contract)["abi"])
            for name, contract in contracts.items()
        }
    )


@pytest.fixture
def coordinator(market):
    return market.coordinator


@pytest.fixture
def models(market, owner):
    registry = market.model_registry
    registry.registerModel(MODEL_ID, MODEL_CID, "GPT-3.5 Turbo", "Fast", sender=owner)
    return registry


@pytest.fixture
def node(market, models, owner, worker):
    """On duty for the model, registered with the three numbers of the documented registerNode."""
    market.node_registry.registerNode(64_000, 24_000, 800, sender=worker)
    market.token.transfer(worker, STAKE, sender=owner)
    market.token.approve(market.coordinator, STAKE, sender=worker)
    market.coordinator.stake(STAKE, sender=worker)
    version, _ = market.coordinator.currentVersion(MODEL_ID)
    market.coordinator.joinVersion(version, 100, sender=worker)
    return worker


@pytest.fixture
def funded(market, owner, requester):
    market.token.transfer(requester, CREDIT, sender=owner)
    market.token.approve(market.coordinator, CREDIT, sender=requester)
    market.coordinator.deposit(CREDIT, sender=requester)
    return requester
