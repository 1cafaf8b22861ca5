"""Every function and event of the document's smart contract section, as it is written there."""

import ape

MODEL_ID, MODEL_CID = "gpt-3.5-turbo", "QmModelHash789"
MAX_FEE = 10 * 10**18
FLAT_PART = 10**16


def only(events):
    (event,) = events
    return event


def test_submitPrompt__registered_model__emits_and_returns_the_job(coordinator, node, funded):
    tx = coordinator.submitPrompt("QmPromptHash123", MODEL_ID, sender=funded)
    assert tx.return_value == 1
    event = only(tx.decode_logs(coordinator.InferenceRequested))
    assert event.jobId == 1
    assert event.controller == funded.address
    assert event.promptCID == "QmPromptHash123"
    assert event.modelId == MODEL_ID
    assert event.modelCID == MODEL_CID
    assert coordinator.job(1).node == node.address


def test_submitPromptWithCID__held_cid__resolves_the_model(coordinator, node, funded):
    tx = coordinator.submitPromptWithCID("QmPromptHash123", MODEL_CID, sender=funded)
    assert only(tx.decode_logs(coordinator.InferenceRequested)).modelId == MODEL_ID


def test_submitResponse__lease_holder__completes_and_is_owed_the_flat_part(
    coordinator, node, funded
):
    coordinator.submitPrompt("QmPromptHash123", MODEL_ID, sender=funded)
    tx = coordinator.submitResponse(1, "QmResponseHash456", sender=node)
    event = only(tx.decode_logs(coordinator.InferenceCompleted))
    assert (event.jobId, event.worker, event.responseCID) == (
        1,
        node.address,
        "QmResponseHash456",
    )
    assert coordinator.node(node).pendingEarnings == FLAT_PART
    assert coordinator.credit(funded) == 1_000 * 10**18 - FLAT_PART


def test_submitResponse__somebody_else__reverts(coordinator, node, funded, owner):
    coordinator.submitPrompt("QmPromptHash123", MODEL_ID, sender=funded)
    with ape.reverts(coordinator.NotLeaseHolder):
        coordinator.submitResponse(1, "QmResponseHash456", sender=owner)


def test_submitPrompt__no_credit__reverts(coordinator, models, requester):
    with ape.reverts(coordinator.InsufficientCredit):
        coordinator.submitPrompt("QmPromptHash123", MODEL_ID, sender=requester)


def test_earnings__two_epochs_later__are_withdrawn(coordinator, node, funded, market, chain):
    coordinator.submitPrompt("QmPromptHash123", MODEL_ID, sender=funded)
    coordinator.submitResponse(1, "QmResponseHash456", sender=node)
    chain.pending_timestamp += 3_600
    coordinator.settle(node, sender=funded)
    earned = FLAT_PART * 98 // 100
    assert coordinator.credit(node) == earned
    coordinator.withdraw(earned, sender=node)
    assert market.token.balanceOf(node) == earned


def test_registerModel__by_the_owner__is_listed(models, owner, requester):
    models.registerModel("custom-model", "QmCustom", "My Custom Model", "Tuned", sender=owner)
    info = models.getModel("custom-model")
    assert (info.modelCID, info.name, info.description) == ("QmCustom", "My Custom Model", "Tuned")
    assert info.isActive
    assert info.timestamp != 0
    assert models.getAllModels() == [MODEL_ID, "custom-model"]
    with ape.reverts(models.OwnableUnauthorizedAccount):
        models.registerModel("mine", "QmMine", "", "", sender=requester)


def test_updateModel__new_cid__is_shown(models, owner):
    models.updateModel(MODEL_ID, "QmNewer", sender=owner)
    assert models.getModel(MODEL_ID).modelCID == "QmNewer"


def test_getActiveModels__inactive__is_left_out(models, owner):
    models.setModelActive(MODEL_ID, False, sender=owner)
    assert models.getActiveModels() == []
    assert models.getAllModels() == [MODEL_ID]


def test_registerNode_and_deregisterNode__and_again__keeps_the_number(coordinator, market, worker):
    nodes = market.node_registry
    nodes.registerNode(16_000, 8_000, 400, sender=worker)
    number = coordinator.node(worker).number
    nodes.deregisterNode(sender=worker)
    assert not nodes.getNode(worker).isRegistered
    nodes.registerNode(16_000, 8_000, 400, sender=worker)
    assert coordinator.node(worker).number == number
