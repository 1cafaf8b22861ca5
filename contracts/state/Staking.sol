// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NodeWord, NodeWordLib} from "../types/NodeWord.sol";
import {Versions} from "./Versions.sol";

/// @title Nodes: their duty, their stake and what they earned.
abstract contract Staking is Versions {
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
    address internal immutable _NODE_REGISTRY;

    // ---------------------------------------------------------------- storage
    mapping(uint256 number => NodeWord) internal _words;
    mapping(uint256 number => Record) internal _records;

    // ---------------------------------------------------------------- constructor
    constructor(address nodeRegistry_) {
        require(nodeRegistry_ != address(0), OutOfBounds());
        _NODE_REGISTRY = nodeRegistry_;
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
        return w.unsettledGwei(_epoch()) * NodeWordLib.LOCK_FACTOR * 1 gwei;
    }

    /// @dev The node's word as of this epoch, its final earnings credited. The caller stores the word.
    function _rolled(uint256 number) internal returns (NodeWord w) {
        uint256 before;
        uint256 current;
        NodeWord old = _words[number];
        uint256 today = _epoch();
        (w, before, current) = old.rolled(today);
        if (before + current != 0) _mature(number, today - old.ageAt(today), before * 1 gwei, current * 1 gwei);
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

    function _setStake(uint256 number, uint256 amount) internal {
        require(amount <= type(uint128).max, OutOfBounds());
        _records[number].stake = uint128(amount);
        _words[number] = _words[number].withStake(amount);
    }

    function _setDuty(uint256 number, uint256 slots) internal {
        _words[number] = _words[number].withSlots(slots);
        emit SlotsChanged(_records[number].operator, slots);
    }

    /// @dev Rounding: the fee of each epoch is rounded down to a wei, in the node's favour.
    function _mature(uint256 number, uint256 epoch, uint256 before, uint256 current) private {
        // Nothing is earned in epoch 0 (see Treasury), so there is an epoch before the word's wherever `before` counts.
        uint256 fee = before == 0 ? 0 : (before * _feeBpsOf(epoch - 1)) / BPS;
        if (current != 0) fee += (current * _feeBpsOf(epoch)) / BPS;
        if (fee != 0) _collect(fee);
        Record storage r = _records[number];
        (address operator, address payout) = (r.operator, r.payout);
        uint256 amount = before + current - fee;
        _credit(payout, amount);
        emit EarningsMatured(operator, payout, amount, fee);
    }
}
