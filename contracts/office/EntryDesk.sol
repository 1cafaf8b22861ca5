// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {Multiplier} from "../libraries/Multiplier.sol";
import {StakeDesk} from "./StakeDesk.sol";

/// @title Joining and leaving the lists of versions: one entry per unit of stake.
abstract contract EntryDesk is StakeDesk {
    uint256 private constant MAX_UNITS = 32;
    uint256 private constant MAX_VERSIONS = 16;

    // ---------------------------------------------------------------- nodes
    /// @inheritdoc ICoordinatorOffice
    function joinVersion(uint256 number, uint256 maxSteps) external returns (uint256 added) {
        _requireVersion(number);
        uint256 nodeNumber = _callerNumber();
        uint256 target = _allowedEntries(nodeNumber);
        require(target != 0, NodeNotEligible());
        uint256 present = _places[number][nodeNumber].length;
        require(target > present, AlreadyJoined());
        if (present == 0) _rememberJoined(nodeNumber, number);
        added = _min(target - present, maxSteps);
        require(added != 0, AmountIsZero());
        for (uint256 i; i < added; ++i) {
            _append(number, nodeNumber);
        }
        emit VersionJoined(msg.sender, number, present + added);
    }

    /// @inheritdoc ICoordinatorOffice
    function leaveVersion(uint256 number, uint256 maxSteps) external returns (uint256 remaining) {
        uint256 nodeNumber = _callerNumber();
        uint256 present = _places[number][nodeNumber].length;
        require(present != 0, NotJoined());
        remaining = present - _remove(number, nodeNumber, _min(present, maxSteps));
    }

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc ICoordinatorOffice
    function pruneEntries(address operator, uint256 number, uint256 maxSteps) external returns (uint256 removed) {
        uint256 nodeNumber = _numberOf(operator);
        uint256 present = _places[number][nodeNumber].length;
        require(present != 0, NotJoined());
        uint256 allowed = _allowedEntries(nodeNumber);
        uint256 excess = allowed < present ? present - allowed : 0;
        removed = _remove(number, nodeNumber, _min(excess, maxSteps));
    }

    // ---------------------------------------------------------------- internal
    /// @dev Whole units of active stake, at most 32, times the lock-up multiplier, rounded down. None without duty.
    function _allowedEntries(uint256 nodeNumber) private view returns (uint256) {
        if (_words[nodeNumber].slots() == 0) return 0;
        Record memory r = _records[nodeNumber];
        uint256 units = _min(r.stake / _STAKE_UNIT, MAX_UNITS);
        uint256 lockDays = block.timestamp < r.lockedUntil ? r.lockDays : 0;
        return (units * Multiplier.cents(r.stake / 1 ether, lockDays)) / Multiplier.ONE_CENTS;
    }

    function _rememberJoined(uint256 nodeNumber, uint256 number) private {
        uint24[] storage joined = _joined[nodeNumber];
        require(joined.length < MAX_VERSIONS, TooManyVersions());
        joined.push(uint24(number)); // an existing version, counted in 24 bits
    }

    function _forgetJoined(uint256 nodeNumber, uint256 number) private {
        uint24[] storage joined = _joined[nodeNumber];
        uint256 last = joined.length - 1;
        for (uint256 i; i < last; ++i) {
            if (joined[i] == number) {
                joined[i] = joined[last];
                break;
            }
        }
        joined.pop();
    }

    function _append(uint256 number, uint256 nodeNumber) private {
        uint32[] storage places = _places[number][nodeNumber];
        uint32 index = _heads[number].entries++;
        // Ordinals stay below 32 * 3, node numbers within 24 bits.
        _entries[number][index] = Entry(_records[nodeNumber].operator, uint24(nodeNumber), uint8(places.length));
        places.push(index);
    }

    /// @dev Takes the node's newest entries off the list; the list's last entry moves into each gap.
    function _remove(uint256 number, uint256 nodeNumber, uint256 steps) private returns (uint256) {
        require(steps != 0, AmountIsZero());
        uint32[] storage places = _places[number][nodeNumber];
        for (uint256 i; i < steps; ++i) {
            uint32 gap = places[places.length - 1];
            places.pop();
            uint32 last = --_heads[number].entries;
            if (gap != last) {
                Entry memory moved = _entries[number][last];
                _entries[number][gap] = moved;
                _places[number][moved.number][moved.ordinal] = gap;
            }
            delete _entries[number][last];
        }
        if (places.length == 0) _forgetJoined(nodeNumber, number);
        emit VersionLeft(_records[nodeNumber].operator, number, places.length);
        return steps;
    }

    function _min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }
}
