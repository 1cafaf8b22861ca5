// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Node, Terms, TermsBounds, Version} from "../interfaces/InferenceTypes.sol";
import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {VersionCode} from "../libraries/VersionCode.sol";
import {NodeWord} from "../types/NodeWord.sol";
import {EntryDesk} from "./EntryDesk.sol";

/// @title What anyone may ask about nodes, models and lists.
abstract contract NetworkViews is EntryDesk {
    using VersionCode for address;

    uint256 private constant MAX_PAGE = 100;

    // ---------------------------------------------------------------- models
    /// @inheritdoc ICoordinatorOffice
    function modelRegistry() external view returns (address) {
        return _MODEL_REGISTRY;
    }

    /// @inheritdoc ICoordinatorOffice
    function announceDelaySeconds() external view returns (uint256) {
        return _ANNOUNCE_DELAY_SECONDS;
    }

    /// @inheritdoc ICoordinatorOffice
    function termsBounds() external view returns (TermsBounds memory) {
        return TermsBounds(
            _MIN_MAX_FEE_GWEI,
            _MAX_MAX_FEE_GWEI,
            _MIN_LEASE_SECONDS,
            _MAX_LEASE_SECONDS,
            _MIN_OPEN_SECONDS,
            _MAX_OPEN_SECONDS
        );
    }

    /// @inheritdoc ICoordinatorOffice
    function versionCount() external view returns (uint256) {
        return _counters.versions;
    }

    /// @inheritdoc ICoordinatorOffice
    function version(uint256 number) external view returns (Version memory) {
        Facts memory f = _facts[number];
        require(f.code != address(0), VersionNotServed());
        Head memory h = _heads[number];
        Terms memory terms = Terms(
            h.inputPriceGwei,
            h.outputPriceGwei,
            h.flatFeeGwei,
            h.maxFeeGwei,
            h.leaseSeconds,
            h.openSeconds,
            f.maxInputTokens,
            f.maxOutputTokens
        );
        return Version(f.code.modelIdOf(), f.code.cidOf(), terms, h.entries, f.servesFrom);
    }

    /// @inheritdoc ICoordinatorOffice
    function currentVersion(string calldata modelId) external view returns (uint256 current, uint256 announced) {
        Model memory m = _models[keccak256(bytes(modelId))];
        if (_isSwitchDue(m)) return (m.announced, 0);
        return (m.current, m.announced);
    }

    /// @inheritdoc ICoordinatorOffice
    function maxJobLife(uint256 number) external view returns (uint256) {
        Head memory h = _heads[number];
        require(h.maxFeeGwei != 0, VersionNotServed());
        return h.openSeconds + _MAX_ATTEMPTS * (h.leaseSeconds + _GRACE_SECONDS + h.openSeconds);
    }

    /// @inheritdoc ICoordinatorOffice
    function bondOf(string calldata modelId)
        external
        view
        returns (address publisher, uint256 amount, uint256 returnableFrom)
    {
        Bond memory b = _bonds[keccak256(bytes(modelId))];
        return (b.publisher, b.amount, b.returnableFrom);
    }

    // ---------------------------------------------------------------- nodes
    /// @inheritdoc ICoordinatorOffice
    function nodeRegistry() external view returns (address) {
        return _NODE_REGISTRY;
    }

    /// @inheritdoc ICoordinatorOffice
    function nodeCount() external view returns (uint256) {
        return _counters.nodes;
    }

    /// @inheritdoc ICoordinatorOffice
    function nodeAt(uint256 number) external view returns (address operator) {
        return _records[number].operator;
    }

    /// @inheritdoc ICoordinatorOffice
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

    /// @inheritdoc ICoordinatorOffice
    function stakeUnit() external view returns (uint256) {
        return _STAKE_UNIT;
    }

    /// @inheritdoc ICoordinatorOffice
    function joinedVersions(address operator) external view returns (uint256[] memory versions) {
        uint24[] memory joined = _joined[_accounts[operator].node];
        versions = new uint256[](joined.length);
        for (uint256 i; i < joined.length; ++i) {
            versions[i] = joined[i];
        }
    }

    /// @inheritdoc ICoordinatorOffice
    function entriesOf(uint256 number, uint256 offset, uint256 limit) external view returns (address[] memory operators) {
        uint256 count = _heads[number].entries;
        uint256 left = offset < count ? count - offset : 0;
        operators = new address[](_min(left, _min(limit, MAX_PAGE)));
        for (uint256 i; i < operators.length; ++i) {
            operators[i] = _entries[number][offset + i].operator;
        }
    }

    /// @inheritdoc ICoordinatorOffice
    function isEligible(address operator, uint256 number, uint256 escrow) external view returns (bool) {
        uint256 nodeNumber = _accounts[operator].node;
        uint256 gweiUp = escrow / 1 gwei + (escrow % 1 gwei == 0 ? 0 : 1);
        if (gweiUp > type(uint56).max) return false;
        return _isEligible(nodeNumber, _words[nodeNumber], number, gweiUp);
    }
}
