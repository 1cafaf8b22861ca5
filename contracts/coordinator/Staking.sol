// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Node} from "../interfaces/InferenceTypes.sol";
import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";
import {Multiplier} from "../libraries/Multiplier.sol";
import {NodeWord, NodeWordLib} from "../types/NodeWord.sol";
import {PublisherBonds} from "./PublisherBonds.sol";

/// @title Nodes: their duty, their stake and what they earned.
abstract contract Staking is PublisherBonds {
    /// @dev Three words. Exact amounts; the node word carries what the hot path needs of them.
    struct Record {
        address operator;
        uint16 slots;
        uint16 lockDays;
        bool suspended;
        address payout;
        uint40 coolingUntil;
        uint40 lockedUntil;
        uint128 stake;
        uint128 cooling;
    }

    // ---------------------------------------------------------------- immutables
    address private immutable _NODE_REGISTRY;

    // ---------------------------------------------------------------- storage
    mapping(uint256 number => NodeWord) internal _words;
    mapping(uint256 number => Record) internal _records;

    // ---------------------------------------------------------------- constructor
    constructor(address nodeRegistry_) {
        require(nodeRegistry_ != address(0), OutOfBounds());
        _NODE_REGISTRY = nodeRegistry_;
    }

    modifier onlyNodeRegistry() {
        require(msg.sender == _NODE_REGISTRY, NotRegistry());
        _;
    }

    // ---------------------------------------------------------------- stake
    /// @inheritdoc IInferenceCoordinator
    function stake(uint256 amount) external nonReentrant {
        _stake(amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function stakeWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        _tryPermit(amount, deadline, v, r, s);
        _stake(amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function requestUnstake(uint256 amount) external {
        uint256 number = _callerNumber();
        Record storage r = _records[number];
        require(amount != 0, AmountIsZero());
        require(block.timestamp >= r.lockedUntil, TooEarly(r.lockedUntil));
        uint256 locked = _lockedOf(_words[number]);
        uint256 free = r.stake > locked ? r.stake - locked : 0;
        require(free >= amount, InsufficientStake(free, amount));
        r.cooling += uint128(amount); // at most the stake, which is 128 bits wide
        r.coolingUntil = uint40(block.timestamp + _COOL_DOWN_SECONDS);
        _setStake(number, r.stake - amount);
        emit UnstakeRequested(msg.sender, amount, r.coolingUntil);
    }

    /// @inheritdoc IInferenceCoordinator
    function withdrawStake() external nonReentrant {
        Record storage r = _records[_callerNumber()];
        uint256 amount = r.cooling;
        require(amount != 0, AmountIsZero());
        require(block.timestamp >= r.coolingUntil, TooEarly(r.coolingUntil));
        r.cooling = 0;
        emit StakeWithdrawn(msg.sender, amount);
        _push(msg.sender, amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function lockStake(uint64 until) external {
        Record storage r = _records[_callerNumber()];
        require(until > block.timestamp && until > r.lockedUntil, OutOfBounds());
        uint256 days_ = (until - block.timestamp) / 1 days;
        require(days_ <= Multiplier.MAX_DAYS, OutOfBounds());
        (r.lockedUntil, r.lockDays) = (uint40(until), uint16(days_)); // within a year from now
        emit StakeLocked(msg.sender, until);
    }

    // ---------------------------------------------------------------- duty and earnings
    /// @inheritdoc IInferenceCoordinator
    function resume() external {
        uint256 number = _callerNumber();
        Record storage r = _records[number];
        require(r.suspended, NotSuspended());
        r.suspended = false;
        _setDuty(number, r.slots);
    }

    /// @inheritdoc IInferenceCoordinator
    function settle(address node_) external {
        uint256 number = _numberOf(node_);
        _words[number] = _rolled(number);
    }

    // ---------------------------------------------------------------- pushed by the registry
    /// @inheritdoc IInferenceCoordinator
    function onNodeRegistered(address node_, address payout, uint16 slots) external onlyNodeRegistry {
        uint256 number = _accounts[node_].node;
        if (number == 0) {
            number = ++_counters.nodes;
            _accounts[node_].node = uint24(number); // counted in 24 bits
            (_records[number].operator, _records[number].payout) = (node_, payout);
        }
        _setSlots(number, slots);
    }

    /// @inheritdoc IInferenceCoordinator
    function onNodeSlots(address node_, uint16 slots) external onlyNodeRegistry {
        _setSlots(_numberOf(node_), slots);
    }

    /// @inheritdoc IInferenceCoordinator
    function onNodeDeregistered(address node_) external onlyNodeRegistry {
        _setSlots(_numberOf(node_), 0);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function nodeRegistry() external view returns (address) {
        return _NODE_REGISTRY;
    }

    /// @inheritdoc IInferenceCoordinator
    function nodeCount() external view returns (uint256) {
        return _counters.nodes;
    }

    /// @inheritdoc IInferenceCoordinator
    function nodeAt(uint256 number) external view returns (address operator) {
        return _records[number].operator;
    }

    /// @inheritdoc IInferenceCoordinator
    function node(address operator) external view returns (Node memory n) {
        uint256 number = _accounts[operator].node;
        if (number == 0) return n;
        NodeWord w = _words[number];
        Record memory r = _records[number];
        // The narrowing casts return fields to the widths they were read from.
        n.number = uint32(number);
        n.payout = r.payout;
        n.slots = uint16(w.slots());
        n.inFlight = uint16(w.inFlight());
        n.stake = r.stake;
        n.locked = _lockedOf(w);
        n.cooling = r.cooling;
        n.coolingUntil = r.coolingUntil;
        n.lockedUntil = r.lockedUntil;
        n.escrowInFlight = w.escrowGwei() * 1 gwei;
        n.pendingEarnings = (w.earnedNowGwei() + w.earnedBeforeGwei()) * 1 gwei;
        n.suspended = r.suspended;
    }

    // ---------------------------------------------------------------- internal
    function _numberOf(address operator) internal view returns (uint256 number) {
        number = _accounts[operator].node;
        require(number != 0, NotNode());
    }

    function _callerNumber() internal view returns (uint256) {
        return _numberOf(msg.sender);
    }

    function _lockedOf(NodeWord w) internal view returns (uint256) {
        return w.unsettledGwei(currentEpoch()) * NodeWordLib.LOCK_FACTOR * 1 gwei;
    }

    /// @dev The node's word as of this epoch, its final earnings credited. The caller stores the word.
    function _rolled(uint256 number) internal returns (NodeWord w) {
        uint256 before;
        uint256 current;
        NodeWord old = _words[number];
        (w, before, current) = old.rolled(currentEpoch());
        if (before + current != 0) _mature(number, old.epoch(), before * 1 gwei, current * 1 gwei);
    }

    /// @dev Takes at most `amount` of the node's stake, the active part first, and returns what it took.
    function _slash(uint256 number, uint256 amount) internal returns (uint256 taken) {
        Record storage r = _records[number];
        uint256 fromActive = amount < r.stake ? amount : r.stake;
        uint256 fromCooling = amount - fromActive < r.cooling ? amount - fromActive : r.cooling;
        if (fromCooling != 0) r.cooling -= uint128(fromCooling); // not more than it was
        _setStake(number, r.stake - fromActive);
        return fromActive + fromCooling;
    }

    function _suspend(uint256 number) internal {
        _records[number].suspended = true;
        _setDuty(number, 0);
    }

    function _stake(uint256 amount) private {
        uint256 number = _callerNumber();
        _setStake(number, _records[number].stake + amount);
        emit Staked(msg.sender, amount);
        _pull(amount);
    }

    function _setStake(uint256 number, uint256 amount) private {
        require(amount <= type(uint128).max, OutOfBounds());
        _records[number].stake = uint128(amount);
        _words[number] = _words[number].withStake(amount);
    }

    function _setSlots(uint256 number, uint16 slots) private {
        Record storage r = _records[number];
        r.slots = slots;
        if (!r.suspended) _setDuty(number, slots);
    }

    function _setDuty(uint256 number, uint256 slots) private {
        _words[number] = _words[number].withSlots(slots);
        emit SlotsChanged(_records[number].operator, slots);
    }

    /// @dev Rounding: the fee of each epoch is rounded down to a wei, in the node's favour.
    function _mature(uint256 number, uint256 epoch, uint256 before, uint256 current) private {
        // Nothing is earned in epoch 0 (see Treasury), so there is an epoch before the word's wherever `before` counts.
        uint256 fee = before == 0 ? 0 : (before * feeBpsAt(epoch - 1)) / BPS;
        if (current != 0) fee += (current * feeBpsAt(epoch)) / BPS;
        if (fee != 0) _collect(fee);
        Record storage r = _records[number];
        (address operator, address payout) = (r.operator, r.payout);
        uint256 amount = before + current - fee;
        _credit(payout, amount);
        emit EarningsMatured(operator, payout, amount, fee);
    }
}
