// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../../../contracts/interfaces/ICoordinatorOffice.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {StakeActs} from "./StakeActs.sol";

/// @title What the owner and a publisher may do, what everyone else tries in their place, and bonds and fees.
abstract contract OwnerActs is StakeActs {
    // ---------------------------------------------------------------- owner
    /// @dev Rarely paused, or little else would happen.
    function pause(uint256 seed) external {
        _byOwner(abi.encodeCall(ICoordinatorOffice.setNewWorkPaused, (seed % 8 == 0)), "pause");
    }

    function scheduleFee(uint256 bps) external watched(owner) {
        uint256 epoch = coordinator.currentEpoch();
        (uint256 now_, uint256 next) = (coordinator.feeBpsAt(epoch), coordinator.feeBpsAt(epoch + 1));
        uint16 rate = uint16(bps % 1_200);
        bool isDue = rate <= coordinator.MAX_FEE_BPS();
        _market(owner, abi.encodeCall(ICoordinatorOffice.scheduleFeeRate, rate), isDue, "I14 scheduleFeeRate");
        assertEq(coordinator.feeBpsAt(epoch), now_, "I14: the fee of this epoch stands");
        assertEq(coordinator.feeBpsAt(epoch + 1), next, "I14: the fee of the next epoch stands");
    }

    function setBond(uint256 amount) external {
        _byOwner(abi.encodeCall(ICoordinatorOffice.setPublisherBond, (amount % 15 ether)), "setPublisherBond");
    }

    // ---------------------------------------------------------------- models
    /// @dev A model rests rarely, too.
    function toggleModel(uint256 modelSeed, uint256 seed) external {
        uint256 i = modelSeed % modelIds.length;
        if (_exists(modelIds[i]) && (seed % 8 == 0 || !modelRegistry.getModel(modelIds[i]).isActive)) _toggle(i);
    }

    function updateModel(uint256 modelSeed, uint256 termsSeed) external {
        if (coordinator.versionCount() < MAX_VERSIONS) _update(modelSeed % modelIds.length, termsSeed % 2 == 0);
    }

    function publishModel() external watched(publisher()) {
        string memory id = modelIds[2];
        bool isDue = !_exists(id) && coordinator.credit(publisher()) >= coordinator.publisherBond();
        bytes memory data = abi.encodeCall(IModelRegistry.publishModel, (id, _cid(2), id, "", usageTerms()));
        _send(publisher(), address(modelRegistry), data, isDue, "publishModel");
    }

    function returnBond(uint256 seed) external {
        _returnBond(_pick(parties, seed));
    }

    function collectFees(uint256 seed) external {
        _collectFees(_pick(parties, seed));
    }

    // ---------------------------------------------------------------- intruders
    function intrude(uint256 seed, uint256 which) external {
        address caller = _pick(parties, seed);
        if (caller == owner) caller = address(this);
        _intrude(caller, which);
    }

    // ---------------------------------------------------------------- internal
    function _byOwner(bytes memory data, string memory act) private watched(owner) {
        _market(owner, data, true, act);
    }

    function _exists(string memory id) internal view returns (bool) {
        (uint256 current,) = coordinator.currentVersion(id);
        return current != 0;
    }

    function _controllerOf(uint256 i) private view returns (address) {
        return i == 2 ? publisher() : owner;
    }

    function _toggle(uint256 i) private watched(_controllerOf(i)) {
        string memory id = modelIds[i];
        bool isActive = modelRegistry.getModel(id).isActive;
        (, uint256 held,) = coordinator.bondOf(id);
        bool isBacked = i != 2 || held != 0 || coordinator.credit(publisher()) >= coordinator.publisherBond();
        bytes memory data = abi.encodeCall(IModelRegistry.setModelActive, (id, !isActive));
        _send(_controllerOf(i), address(modelRegistry), data, isActive || isBacked, "setModelActive");
    }

    function _update(uint256 i, bool isFlat) private watched(_controllerOf(i)) {
        Terms memory terms = isFlat ? flatTerms() : usageTerms();
        bytes memory data = abi.encodeWithSignature(
            "updateModel(string,string,(uint40,uint40,uint48,uint48,uint16,uint16,uint24,uint24))",
            modelIds[i],
            _cid(10 + coordinator.versionCount()),
            terms
        );
        (uint256 current,) = coordinator.currentVersion(modelIds[i]);
        _send(_controllerOf(i), address(modelRegistry), data, current != 0, "updateModel");
        (uint256 serving,) = coordinator.currentVersion(modelIds[i]);
        assertEq(serving, current, "a new version serves only after the delay");
    }

    function _returnBond(address caller) private watched(caller) {
        (address bonded, uint256 held, uint256 from) = coordinator.bondOf(modelIds[2]);
        uint256 credit = coordinator.credit(publisher());
        bool isDue = bonded != address(0) && from != 0 && _now() >= from;
        _market(caller, abi.encodeCall(ICoordinatorOffice.returnBond, (modelIds[2])), isDue, "returnBond");
        assertEq(coordinator.credit(publisher()), credit + (isDue ? held : 0), "returnBond: amount");
    }

    function _collectFees(address caller) private watched(caller) {
        uint256 fees = coordinator.collectableFees();
        uint256 balance = token.balanceOf(treasury);
        _market(caller, abi.encodeCall(ICoordinatorOffice.collectFees, ()), fees != 0, "collectFees");
        assertEq(token.balanceOf(treasury), balance + fees, "collectFees: amount");
    }

    /// @dev Everything here is somebody else's right.
    function _intrude(address caller, uint256 which) private watched(caller) {
        bytes[10] memory calls = [
            abi.encodeCall(ICoordinatorOffice.setNewWorkPaused, (true)),
            abi.encodeCall(ICoordinatorOffice.scheduleFeeRate, (0)),
            abi.encodeCall(ICoordinatorOffice.setTreasury, (caller)),
            abi.encodeCall(ICoordinatorOffice.setPublisherBond, (0)),
            abi.encodeCall(ICoordinatorOffice.onModelActive, (modelIds[0], false)),
            abi.encodeCall(ICoordinatorOffice.onVersionAnnounced, (modelIds[0], _cid(99), flatTerms(), address(0))),
            abi.encodeCall(ICoordinatorOffice.onNodeRegistered, (caller, caller, 9)),
            abi.encodeCall(ICoordinatorOffice.onNodeSlots, (operators[0], 0)),
            abi.encodeCall(ICoordinatorOffice.onNodeDeregistered, (operators[0])),
            abi.encodeWithSignature("renounceOwnership()")
        ];
        _market(caller, calls[which % calls.length], false, "I28 intruder at the coordinator");
        bytes memory update = abi.encodeWithSignature("updateModel(string,string)", modelIds[which % 2], _cid(98));
        _send(caller, address(modelRegistry), update, false, "I28 intruder at the model registry");
    }
}
