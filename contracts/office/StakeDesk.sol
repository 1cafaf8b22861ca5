// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {Multiplier} from "../libraries/Multiplier.sol";
import {Announcements} from "./Announcements.sol";

/// @title A node's stake and duty.
abstract contract StakeDesk is Announcements {
    modifier onlyNodeRegistry() {
        require(msg.sender == _NODE_REGISTRY, NotRegistry());
        _;
    }

    // ---------------------------------------------------------------- stake
    /// @inheritdoc ICoordinatorOffice
    function stake(uint256 amount) external nonReentrant {
        _stake(amount);
    }

    /// @inheritdoc ICoordinatorOffice
    function stakeWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        _tryPermit(amount, deadline, v, r, s);
        _stake(amount);
    }

    /// @inheritdoc ICoordinatorOffice
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

    /// @inheritdoc ICoordinatorOffice
    function withdrawStake() external nonReentrant {
        Record storage r = _records[_callerNumber()];
        uint256 amount = r.cooling;
        require(amount != 0, AmountIsZero());
        require(block.timestamp >= r.coolingUntil, TooEarly(r.coolingUntil));
        r.cooling = 0;
        emit StakeWithdrawn(msg.sender, amount);
        _push(msg.sender, amount);
    }

    /// @inheritdoc ICoordinatorOffice
    function lockStake(uint64 until) external {
        Record storage r = _records[_callerNumber()];
        require(until > block.timestamp && until > r.lockedUntil, OutOfBounds());
        uint256 days_ = (until - block.timestamp) / 1 days;
        require(days_ <= Multiplier.MAX_DAYS, OutOfBounds());
        (r.lockedUntil, r.lockDays) = (uint40(until), uint16(days_)); // within a year from now
        emit StakeLocked(msg.sender, until);
    }

    // ---------------------------------------------------------------- duty and earnings
    /// @inheritdoc ICoordinatorOffice
    function resume() external {
        uint256 number = _callerNumber();
        Record storage r = _records[number];
        require(r.suspended, NotSuspended());
        r.suspended = false;
        _setDuty(number, r.slots);
    }

    /// @inheritdoc ICoordinatorOffice
    function settle(address node_) external {
        uint256 number = _numberOf(node_);
        _words[number] = _rolled(number);
    }

    // ---------------------------------------------------------------- pushed by the registry
    /// @inheritdoc ICoordinatorOffice
    function onNodeRegistered(address node_, address payout, uint16 slots) external onlyNodeRegistry {
        uint256 number = _accounts[node_].node;
        if (number == 0) {
            number = ++_counters.nodes;
            _accounts[node_].node = uint24(number); // counted in 24 bits
            (_records[number].operator, _records[number].payout) = (node_, payout);
        }
        _setSlots(number, slots);
    }

    /// @inheritdoc ICoordinatorOffice
    function onNodeSlots(address node_, uint16 slots) external onlyNodeRegistry {
        _setSlots(_numberOf(node_), slots);
    }

    /// @inheritdoc ICoordinatorOffice
    function onNodeDeregistered(address node_) external onlyNodeRegistry {
        _setSlots(_numberOf(node_), 0);
    }

    // ---------------------------------------------------------------- internal
    function _stake(uint256 amount) private {
        uint256 number = _callerNumber();
        _setStake(number, _records[number].stake + amount);
        emit Staked(msg.sender, amount);
        _pull(amount);
    }

    function _setSlots(uint256 number, uint16 slots) private {
        Record storage r = _records[number];
        r.slots = slots;
        if (!r.suspended) _setDuty(number, slots);
    }
}
