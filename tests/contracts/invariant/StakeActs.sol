// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../../../contracts/interfaces/ICoordinatorOffice.sol";
import {Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {INodeProfileRegistry} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {NodeActs} from "./NodeActs.sol";

/// @title What nodes do with stake, duty and lists.
abstract contract StakeActs is NodeActs {
    // ---------------------------------------------------------------- stake
    function stake(uint256 seed, uint256 amount) external {
        _stake(_pick(operators, seed), amount % (2 * UNIT));
    }

    function requestUnstake(uint256 seed, uint256 amount) external {
        _requestUnstake(_pick(operators, seed), amount, seed % 8 == 0);
    }

    function withdrawStake(uint256 seed) external {
        _withdrawStake(_pick(parties, seed));
    }

    function lockStake(uint256 seed, uint256 seconds_) external {
        _lockStake(_pick(operators, seed), _now() + seconds_ % (2 * COOL_DOWN));
    }

    // ---------------------------------------------------------------- duty
    function resume(uint256 seed) external {
        _resume(_pick(operators, seed));
    }

    function settle(uint256 seed, uint256 callerSeed) external {
        _settle(_pick(operators, seed), _pick(parties, callerSeed));
    }

    function setSlots(uint256 seed, uint256 slots) external {
        _setSlots(_pick(operators, seed), uint16(slots % 8 == 0 ? 0 : 1 + slots % 4));
    }

    /// @dev Nodes come back sooner than they leave, or there would be none.
    function registerOrLeave(uint256 seed, uint256 whim) external {
        address who = _pick(operators, seed);
        if (whim % 8 == 0 || !nodeRegistry.getNode(who).isRegistered) _registerOrLeave(who);
    }

    // ---------------------------------------------------------------- lists
    function join(uint256 seed, uint256 version, uint256 steps) external {
        (uint256 current,) = coordinator.currentVersion(_modelId(version));
        bool isServed = version % 4 != 0 && current != 0;
        _join(_pick(operators, seed), isServed ? current : _someVersion(version), 1 + steps % MAX_STEPS);
    }

    function leave(uint256 seed, uint256 version, uint256 steps) external {
        _leave(_pick(operators, seed), _someVersion(version), steps % MAX_STEPS);
    }

    function prune(uint256 seed, uint256 callerSeed, uint256 version) external {
        _prune(_pick(operators, seed), _pick(parties, callerSeed), _someVersion(version));
    }

    // ---------------------------------------------------------------- internal
    function _someVersion(uint256 seed) internal view returns (uint256) {
        return 1 + seed % coordinator.versionCount();
    }

    function _isNode(address who) internal view returns (bool) {
        return coordinator.node(who).number != 0;
    }

    function _stake(address who, uint256 amount) private watched(who) {
        bool isDue = _isNode(who) && amount != 0;
        _market(who, abi.encodeCall(ICoordinatorOffice.stake, amount), isDue, "stake");
    }

    function _requestUnstake(address who, uint256 seed, bool isWhole) private watched(who) {
        Node memory n = coordinator.node(who);
        uint256 amount = isWhole ? seed % (n.stake + 2) : seed % UNIT;
        uint256 locked = 10 * (n.escrowInFlight + _unsettledEarnings(who));
        bool isDue = n.number != 0 && amount != 0 && _now() >= n.lockedUntil && amount + locked <= n.stake;
        _market(who, abi.encodeCall(ICoordinatorOffice.requestUnstake, amount), isDue, "I22 requestUnstake");
    }

    function _withdrawStake(address who) private watched(who) {
        Node memory n = coordinator.node(who);
        bool isDue = n.cooling != 0 && _now() >= n.coolingUntil;
        uint256 balance = token.balanceOf(who);
        _market(who, abi.encodeCall(ICoordinatorOffice.withdrawStake, ()), isDue, "I9, I15 withdrawStake");
        assertEq(token.balanceOf(who), balance + (isDue ? n.cooling : 0), "withdrawStake: amount");
    }

    function _lockStake(address who, uint256 until) private watched(who) {
        Node memory n = coordinator.node(who);
        bool isDue = n.number != 0 && until > _now() && until > n.lockedUntil;
        _market(who, abi.encodeCall(ICoordinatorOffice.lockStake, uint64(until)), isDue, "lockStake");
    }

    function _resume(address who) private watched(who) {
        bool isDue = coordinator.node(who).suspended;
        _market(who, abi.encodeCall(ICoordinatorOffice.resume, ()), isDue, "resume");
    }

    function _settle(address operator, address caller) private watched(caller) {
        Node memory n = coordinator.node(operator);
        uint256 matured = n.pendingEarnings - _unsettledEarnings(operator);
        uint256 fees = coordinator.collectableFees();
        uint256 credit = coordinator.credit(n.payout);
        _market(caller, abi.encodeCall(ICoordinatorOffice.settle, operator), n.number != 0, "I15 settle");
        uint256 fee = coordinator.collectableFees() - fees;
        assertLe(fee * 10_000, matured * coordinator.MAX_FEE_BPS(), "I14 settle: fee");
        assertEq(coordinator.credit(n.payout) + fee, credit + matured, "I26 settle: what is final is credited, less the fee");
    }

    function _setSlots(address who, uint16 slots) private watched(who) {
        bool isDue = nodeRegistry.getNode(who).isRegistered;
        bytes memory data = abi.encodeCall(INodeProfileRegistry.setSlots, slots);
        _send(who, address(nodeRegistry), data, isDue, "setSlots");
        if (isDue) assertEq(coordinator.node(who).slots, coordinator.node(who).suspended ? 0 : slots, "setSlots");
    }

    function _registerOrLeave(address who) private watched(who) {
        bool isRegistered = nodeRegistry.getNode(who).isRegistered;
        bytes memory data = isRegistered
            ? abi.encodeCall(INodeProfileRegistry.deregisterNode, ())
            : abi.encodeWithSignature("registerNode(uint256,uint256,uint256)", 1, 1, 1);
        _send(who, address(nodeRegistry), data, true, "register or deregister");
        if (isRegistered) assertEq(coordinator.node(who).slots, 0, "deregistered: no slots");
    }

    function _join(address who, uint256 version, uint256 steps) private watched(who) {
        uint256 present = _entriesOf(who, version);
        uint256 allowed = _allowedEntries(who);
        bytes memory data = abi.encodeCall(ICoordinatorOffice.joinVersion, (version, steps));
        _market(who, data, allowed > present, "join");
        uint256 target = present + steps < allowed ? present + steps : allowed;
        if (allowed > present) assertEq(_entriesOf(who, version), target, "join: entries");
    }

    function _leave(address who, uint256 version, uint256 steps) private watched(who) {
        uint256 present = _entriesOf(who, version);
        bool isDue = present != 0 && steps != 0;
        _market(who, abi.encodeCall(ICoordinatorOffice.leaveVersion, (version, steps)), isDue, "leave");
        uint256 rest = present > steps ? present - steps : 0;
        if (isDue) assertEq(_entriesOf(who, version), rest, "leave: entries");
    }

    function _prune(address operator, address caller, uint256 version) private watched(caller) {
        (uint256 present, uint256 allowed) = (_entriesOf(operator, version), _allowedEntries(operator));
        bytes memory data = abi.encodeCall(ICoordinatorOffice.pruneEntries, (operator, version, MAX_STEPS));
        bool isDue = present > allowed;
        _market(caller, data, isDue, "prune");
        uint256 target = present > allowed + MAX_STEPS ? present - MAX_STEPS : allowed;
        if (isDue) assertEq(_entriesOf(operator, version), target, "prune: what stake and duty still cover stays");
    }

    /// @dev One per whole unit while on duty: nobody here stakes for a week or a thousand tokens, so without multiplier.
    function _allowedEntries(address who) internal view returns (uint256) {
        Node memory n = coordinator.node(who);
        uint256 units = n.stake / UNIT < 32 ? n.stake / UNIT : 32;
        return n.slots == 0 ? 0 : units;
    }

    function _entriesOf(address who, uint256 version) internal view returns (uint256 count) {
        address[] memory list = entriesOf(version);
        for (uint256 i; i < list.length; ++i) {
            if (list[i] == who) ++count;
        }
    }

    /// @dev Four nodes have at most 128 entries: two pages.
    function entriesOf(uint256 version) public view returns (address[] memory list) {
        address[] memory first = coordinator.entriesOf(version, 0, 100);
        address[] memory second = coordinator.entriesOf(version, 100, 100);
        list = new address[](first.length + second.length);
        for (uint256 i; i < list.length; ++i) {
            list[i] = i < 100 ? first[i] : second[i - 100];
        }
    }
}
