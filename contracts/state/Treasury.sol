// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Clocks} from "../interfaces/InferenceTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @title Epochs, the fee rate of each, and the protocol's own money.
abstract contract Treasury is Ledger, Ownable2Step {
    using Checkpoints for Checkpoints.Trace208;

    /// @dev Jobs is the number of the last one. One word, since every submit reads the pause and counts a job.
    struct Counters {
        uint64 jobs;
        uint24 versions;
        uint24 nodes;
        bool paused;
    }

    // ---------------------------------------------------------------- constants and immutables
    uint256 internal constant BPS = 10_000;
    uint256 internal constant FEE_CAP_BPS = 1_000;
    uint256 private constant MAX_EPOCH_SECONDS = 7 days;
    uint256 private constant MAX_GRACE_SECONDS = 10 minutes;
    uint256 private constant MAX_COOL_DOWN_SECONDS = 60 days;
    uint256 private constant ATTEMPTS_CAP = 4;

    uint256 internal immutable _GRACE_SECONDS;
    uint256 internal immutable _EPOCH_SECONDS;
    uint256 internal immutable _COOL_DOWN_SECONDS;
    uint256 internal immutable _MAX_ATTEMPTS;
    /// Start of epoch 0. The deployment lies in epoch 1, so that there is an epoch before the first.
    uint256 private immutable _GENESIS;

    // ---------------------------------------------------------------- storage
    Counters internal _counters;
    address internal _treasury;
    uint96 internal _bond;
    uint256 internal _fees;
    Checkpoints.Trace208 internal _feeRates;

    // ---------------------------------------------------------------- constructor
    constructor(address owner_, Clocks memory c) Ownable(owner_) {
        require(c.graceSeconds != 0 && c.graceSeconds <= MAX_GRACE_SECONDS, OutOfBounds());
        require(c.epochSeconds != 0 && c.epochSeconds <= MAX_EPOCH_SECONDS, OutOfBounds());
        // Stake must outlast the last moment at which a delivery made on it can be challenged.
        require(c.coolDownSeconds >= 2 * uint256(c.epochSeconds), OutOfBounds());
        require(c.coolDownSeconds <= MAX_COOL_DOWN_SECONDS, OutOfBounds());
        require(c.maxAttempts != 0 && c.maxAttempts <= ATTEMPTS_CAP, OutOfBounds());
        _GRACE_SECONDS = c.graceSeconds;
        _EPOCH_SECONDS = c.epochSeconds;
        _COOL_DOWN_SECONDS = c.coolDownSeconds;
        _MAX_ATTEMPTS = c.maxAttempts;
        _GENESIS = block.timestamp - c.epochSeconds;
    }

    // ---------------------------------------------------------------- internal
    function _epoch() internal view returns (uint256) {
        return _epochOf(block.timestamp);
    }

    function _epochOf(uint256 time) internal view returns (uint256) {
        unchecked {
            return (time - _GENESIS) / _EPOCH_SECONDS; // times are not before the deployment, an epoch is not 0 long
        }
    }

    function _feeBpsOf(uint256 epoch) internal view returns (uint256) {
        return _feeRates.upperLookupRecent(epoch > type(uint48).max ? type(uint48).max : uint48(epoch));
    }

    function _requireNewWork() internal view {
        require(!_counters.paused, NewWorkIsPaused());
    }

    function _collect(uint256 amount) internal {
        _fees += amount;
    }

    function _setTreasury(address treasury_) internal {
        require(treasury_ != address(0) && treasury_ != address(this), OutOfBounds());
        _treasury = treasury_;
        emit TreasuryChanged(treasury_);
    }

    function _setBond(uint256 bond) internal {
        require(bond <= type(uint96).max, OutOfBounds());
        _bond = uint96(bond);
        emit PublisherBondChanged(bond);
    }

    /// @dev A second schedule within one epoch replaces the first: equal keys overwrite.
    function _pushFeeRate(uint256 fromEpoch, uint256 feeBps) internal {
        require(feeBps <= FEE_CAP_BPS, OutOfBounds());
        _feeRates.push(uint48(fromEpoch), uint208(feeBps)); // seconds since genesis fit in 48 bits
        emit FeeRateScheduled(feeBps, fromEpoch);
    }
}
