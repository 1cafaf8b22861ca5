// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, JobStatus, Terms} from "./InferenceTypes.sol";

/// @title What the coordinator tells the world, and every reason for which it refuses a call.
interface ICoordinatorEvents {
    // ---------------------------------------------------------------- events
    event InferenceRequested(
        uint256 indexed jobId, address indexed controller, string promptCID, string modelId, string modelCID
    );
    event InferenceCompleted(uint256 indexed jobId, address indexed worker, string responseCID);
    event JobLeased(uint256 indexed jobId, address indexed node, uint256 until);
    event JobOpened(uint256 indexed jobId, uint256 until);
    /// @dev Only where something goes back to the requester: a delivery that costs the whole escrow does not emit it.
    event JobSettled(uint256 indexed jobId, uint256 price, uint256 refund);
    event JobHandedBack(uint256 indexed jobId, address indexed node, FailureCode code, uint256 charge);
    event JobFailed(uint256 indexed jobId, address indexed node, FailureCode code, uint256 refund);
    event JobExpired(uint256 indexed jobId, uint256 refund);
    event JobCancelled(uint256 indexed jobId, uint256 refund);
    event NoShow(uint256 indexed jobId, address indexed node, uint256 penalty);

    event Deposited(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);
    event EarningsMatured(address indexed node, address indexed payout, uint256 amount, uint256 fee);

    event Staked(address indexed node, uint256 amount);
    event UnstakeRequested(address indexed node, uint256 amount, uint256 until);
    event StakeWithdrawn(address indexed node, uint256 amount);
    event StakeLocked(address indexed node, uint256 until);
    event SlotsChanged(address indexed node, uint256 slots);
    event VersionJoined(address indexed node, uint256 indexed version, uint256 entries);
    event VersionLeft(address indexed node, uint256 indexed version, uint256 entries);
    event VersionAnnounced(uint256 indexed version, string modelId, string modelCID, Terms terms, uint256 servesFrom);

    event FeeRateScheduled(uint256 feeBps, uint256 fromEpoch);
    event TreasuryChanged(address indexed treasury);
    event FeesCollected(address indexed treasury, uint256 amount);
    event PublisherBondChanged(uint256 bond);
    event PublisherBondTaken(string modelId, address indexed publisher, uint256 amount);
    event PublisherBondReturned(string modelId, address indexed publisher, uint256 amount);
    event NewWorkPaused(bool paused);

    // ---------------------------------------------------------------- errors
    error UnknownModel();
    error ModelInactive();
    error UnknownJob(uint256 jobId);
    error InvalidCID();
    error InvalidModelId();
    error InvalidTerms();
    error CIDTaken();
    error NoBond();
    error InsufficientCredit(uint256 available, uint256 required);
    error CeilingExceeded(uint256 maxFee, uint256 ceiling);
    error EscrowBelowFlatFee(uint256 escrow, uint256 flatFee);
    error WrongStatus(JobStatus status);
    error NotLeaseHolder();
    error NotRequester();
    error NotRegistry();
    error NotNode();
    error NodeNotEligible();
    error SameNode();
    error WrongRequest();
    error TooEarly(uint256 from);
    error TooLate(uint256 until);
    error NewWorkIsPaused();
    error InsufficientStake(uint256 free, uint256 required);
    error NotSuspended();
    error NotJoined();
    error AlreadyJoined();
    error TooManyVersions();
    error VersionNotServed();
    error AmountIsZero();
    error OutOfBounds();
    error TransferMismatch();
    error NestedMulticall();
    /// @notice A draw may need up to this much: give the transaction more gas.
    error TooLittleGas(uint256 required);
}
