// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Clocks} from "../interfaces/InferenceTypes.sol";
import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";
import {Ledger} from "./Ledger.sol";

/// @title Epochs, the fee rate of each, and the protocol's own money. All the owner can do to a coordinator is here.
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
    /// @inheritdoc IInferenceCoordinator
    uint256 public constant MAX_FEE_BPS = 1_000;
    uint256 internal constant BPS = 10_000;
    uint256 private constant MAX_EPOCH_SECONDS = 7 days;
    uint256 private constant MAX_GRACE_SECONDS = 10 minutes;
    uint256 private constant MAX_COOL_DOWN_SECONDS = 60 days;
    uint256 private constant ATTEMPTS_CAP = 4;
    /// A new rate is known for at least one whole epoch before it applies.
    uint256 private constant FEE_NOTICE_EPOCHS = 2;

    uint256 internal immutable _GRACE_SECONDS;
    uint256 internal immutable _EPOCH_SECONDS;
    uint256 internal immutable _COOL_DOWN_SECONDS;
    uint256 internal immutable _MAX_ATTEMPTS;
    /// Start of epoch 0. The deployment lies in epoch 1, so that there is an epoch before the first.
    uint256 private immutable _GENESIS;

    // ---------------------------------------------------------------- storage
    Counters internal _counters;
    address private _treasury;
    uint96 private _bond;
    uint256 private _fees;
    Checkpoints.Trace208 private _feeRates;

    // ---------------------------------------------------------------- constructor
    constructor(address owner_, address treasury_, uint16 feeBps, uint256 bond, Clocks memory c) Ownable(owner_) {
        require(c.graceSeconds != 0 && c.graceSeconds <= MAX_GRACE_SECONDS, OutOfBounds());
        require(c.epochSeconds != 0 && c.epochSeconds <= MAX_EPOCH_SECONDS, OutOfBounds());
        // Stake must outlast the last moment at which a delivery made on it can be challenged.
        require(c.coolDownSeconds >= 2 * uint256(c.epochSeconds) && c.coolDownSeconds <= MAX_COOL_DOWN_SECONDS, OutOfBounds());
        require(c.maxAttempts != 0 && c.maxAttempts <= ATTEMPTS_CAP, OutOfBounds());
        _GRACE_SECONDS = c.graceSeconds;
        _EPOCH_SECONDS = c.epochSeconds;
        _COOL_DOWN_SECONDS = c.coolDownSeconds;
        _MAX_ATTEMPTS = c.maxAttempts;
        _GENESIS = block.timestamp - c.epochSeconds;
        _setTreasury(treasury_);
        _setBond(bond);
        _pushFeeRate(0, feeBps);
    }

    // ---------------------------------------------------------------- owner
    /// @inheritdoc IInferenceCoordinator
    function scheduleFeeRate(uint16 feeBps) external onlyOwner {
        _pushFeeRate(currentEpoch() + FEE_NOTICE_EPOCHS, feeBps);
    }

    /// @inheritdoc IInferenceCoordinator
    function setTreasury(address treasury_) external onlyOwner {
        _setTreasury(treasury_);
    }

    /// @inheritdoc IInferenceCoordinator
    function setPublisherBond(uint256 bond) external onlyOwner {
        _setBond(bond);
    }

    /// @inheritdoc IInferenceCoordinator
    function setNewWorkPaused(bool paused) external onlyOwner {
        _counters.paused = paused;
        emit NewWorkPaused(paused);
    }

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc IInferenceCoordinator
    function collectFees() external nonReentrant {
        uint256 amount = _fees;
        require(amount != 0, AmountIsZero());
        _fees = 0;
        address to = _treasury;
        emit FeesCollected(to, amount);
        _push(to, amount);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function clocks() external view returns (Clocks memory) {
        // Each was a field of this type when it was set.
        return Clocks(uint32(_GRACE_SECONDS), uint32(_EPOCH_SECONDS), uint32(_COOL_DOWN_SECONDS), uint8(_MAX_ATTEMPTS));
    }

    /// @inheritdoc IInferenceCoordinator
    function publisherBond() public view returns (uint256) {
        return _bond;
    }

    /// @inheritdoc IInferenceCoordinator
    function currentEpoch() public view returns (uint256) {
        return _epochOf(block.timestamp);
    }

    /// @inheritdoc IInferenceCoordinator
    function feeBpsAt(uint256 epoch) public view returns (uint256) {
        return _feeRates.upperLookupRecent(epoch > type(uint48).max ? type(uint48).max : uint48(epoch));
    }

    /// @inheritdoc IInferenceCoordinator
    function collectableFees() external view returns (uint256) {
        return _fees;
    }

    /// @inheritdoc IInferenceCoordinator
    function treasury() external view returns (address) {
        return _treasury;
    }

    /// @inheritdoc IInferenceCoordinator
    function newWorkPaused() external view returns (bool) {
        return _counters.paused;
    }

    // ---------------------------------------------------------------- internal
    function _epochOf(uint256 time) internal view returns (uint256) {
        return (time - _GENESIS) / _EPOCH_SECONDS;
    }

    function _requireNewWork() internal view {
        require(!_counters.paused, NewWorkIsPaused());
    }

    function _collect(uint256 amount) internal {
        _fees += amount;
    }

    function _setTreasury(address treasury_) private {
        require(treasury_ != address(0), OutOfBounds());
        _treasury = treasury_;
        emit TreasuryChanged(treasury_);
    }

    function _setBond(uint256 bond) private {
        require(bond <= type(uint96).max, OutOfBounds());
        _bond = uint96(bond);
        emit PublisherBondChanged(bond);
    }

    /// @dev A second schedule within one epoch replaces the first: equal keys overwrite.
    function _pushFeeRate(uint256 fromEpoch, uint256 feeBps) private {
        require(feeBps <= MAX_FEE_BPS, OutOfBounds());
        _feeRates.push(uint48(fromEpoch), uint208(feeBps)); // seconds since genesis fit in 48 bits
        emit FeeRateScheduled(feeBps, fromEpoch);
    }
}
