// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";
import {Multiplier} from "../libraries/Multiplier.sol";
import {NodeWord} from "../types/NodeWord.sol";
import {Staking} from "./Staking.sol";

/// @title Who serves which version: one entry per unit of stake in the version's list, and the draw from it.
abstract contract Entries is Staking {
    /// @dev One word, so that a draw learns address and number in one read. `ordinal` is its place in `_places`.
    struct Entry {
        address operator;
        uint24 number;
        uint8 ordinal;
    }

    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant MAX_UNITS = 32;
    uint256 private constant MAX_VERSIONS = 16;
    uint256 private constant MAX_PAGE = 100;
    /// Rounds of a draw; the job is Open if none finds a free node.
    uint256 private constant DRAW_ROUNDS = 3;
    uint256 private constant MIN_STAKE_UNIT = 1 ether;

    uint256 private immutable _STAKE_UNIT;

    // ---------------------------------------------------------------- storage
    mapping(uint256 version => mapping(uint256 index => Entry)) private _entries;
    /// Where a node's entries are in the version's list; eight to a word.
    mapping(uint256 version => mapping(uint256 number => uint32[])) private _places;
    mapping(uint256 number => uint24[]) private _joined;

    // ---------------------------------------------------------------- constructor
    constructor(uint256 unit) {
        require(unit >= MIN_STAKE_UNIT && unit <= type(uint96).max, OutOfBounds());
        _STAKE_UNIT = unit;
    }

    // ---------------------------------------------------------------- nodes
    /// @inheritdoc IInferenceCoordinator
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

    /// @inheritdoc IInferenceCoordinator
    function leaveVersion(uint256 number, uint256 maxSteps) external returns (uint256 remaining) {
        uint256 nodeNumber = _callerNumber();
        uint256 present = _places[number][nodeNumber].length;
        require(present != 0, NotJoined());
        remaining = present - _remove(number, nodeNumber, _min(present, maxSteps));
    }

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc IInferenceCoordinator
    function pruneEntries(address operator, uint256 number, uint256 maxSteps) external returns (uint256 removed) {
        uint256 nodeNumber = _numberOf(operator);
        uint256 present = _places[number][nodeNumber].length;
        require(present != 0, NotJoined());
        uint256 allowed = _allowedEntries(nodeNumber);
        uint256 excess = allowed < present ? present - allowed : 0;
        removed = _remove(number, nodeNumber, _min(excess, maxSteps));
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function stakeUnit() external view returns (uint256) {
        return _STAKE_UNIT;
    }

    /// @inheritdoc IInferenceCoordinator
    function joinedVersions(address operator) external view returns (uint256[] memory versions) {
        uint24[] memory joined = _joined[_accounts[operator].node];
        versions = new uint256[](joined.length);
        for (uint256 i; i < joined.length; ++i) {
            versions[i] = joined[i];
        }
    }

    /// @inheritdoc IInferenceCoordinator
    function entriesOf(uint256 number, uint256 offset, uint256 limit) external view returns (address[] memory operators) {
        uint256 count = _heads[number].entries;
        uint256 left = offset < count ? count - offset : 0;
        operators = new address[](_min(left, _min(limit, MAX_PAGE)));
        for (uint256 i; i < operators.length; ++i) {
            operators[i] = _entries[number][offset + i].operator;
        }
    }

    /// @inheritdoc IInferenceCoordinator
    function isEligible(address operator, uint256 number, uint256 escrow) external view returns (bool) {
        uint256 nodeNumber = _accounts[operator].node;
        uint256 gweiUp = escrow / 1 gwei + (escrow % 1 gwei == 0 ? 0 : 1);
        if (gweiUp > type(uint56).max) return false;
        return _isEligible(nodeNumber, _words[nodeNumber], number, gweiUp);
    }

    // ---------------------------------------------------------------- internal
    /// @dev The number and word of a node that may be leased a job of this version and escrow now.
    function _requireEligible(address operator, uint256 number, uint256 escrowGwei)
        internal
        view
        returns (uint256 nodeNumber, NodeWord word)
    {
        nodeNumber = _accounts[operator].node;
        word = _words[nodeNumber];
        require(_isEligible(nodeNumber, word, number, escrowGwei), NodeNotEligible());
    }

    function _isEligible(uint256 nodeNumber, NodeWord word, uint256 number, uint256 escrowGwei) private view returns (bool) {
        return _places[number][nodeNumber].length != 0 && word.isFree(currentEpoch(), escrowGwei);
    }

    /// @dev Power of two choices: two distinct entries per round, the free node with the smaller share of its slots in use.
    /// Returns number 0 if no round found one. The word returned is the node's, not yet leased.
    function _draw(uint256 number, uint256 count, uint256 escrowGwei, uint256 seed)
        internal
        view
        returns (uint256 nodeNumber, address operator, NodeWord word)
    {
        if (count == 0) return (nodeNumber, operator, word);
        uint256 today = currentEpoch();
        for (uint256 round; round < DRAW_ROUNDS; ++round) {
            uint256 index = uint32(seed) % count;
            Entry memory a = _entries[number][index];
            word = _words[a.number];
            bool isFree = word.isFree(today, escrowGwei);
            if (count > 1) {
                Entry memory b = _entries[number][(index + 1 + uint32(seed >> 32) % (count - 1)) % count];
                NodeWord other = _words[b.number];
                if (b.number != a.number && other.isFree(today, escrowGwei) && (!isFree || other.isLighterThan(word))) {
                    return (b.number, b.operator, other);
                }
            }
            if (isFree) return (a.number, a.operator, word);
            seed >>= 64;
        }
        return (0, address(0), word);
    }

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

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
