// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    Clocks,
    FailureCode,
    Job,
    JobStatus,
    Node,
    Terms,
    TermsBounds,
    Version
} from "./InferenceTypes.sol";

/// @title The market of jobs: escrow, leases, stakes and earnings in one ledger.
/// @notice TRUST. Nothing here is upgradeable. The owner may pause new submits and takes, set the treasury, the publisher
/// bond (of models published later) and (from two epochs on) the fee rate up to MAX_FEE_BPS. The owner can never touch
/// credit, escrow, stake or past jobs, nor block submitResponse, failJob, expireJob, cancelJob, settle or any withdrawal.
/// @notice The two registries are fixed at birth. They hold no tokens; a publisher's bond moves by its own act only.
/// @notice The payment token must be a plain ERC-20: no fee on transfer, no rebasing, no callbacks.
/// @notice Until disputes exist, token counts of a delivery are the node's word, bounded by the job's escrow.
/// @notice The lease draw uses cheap randomness which a submitter can re-roll; nothing about price or money rests on it.
interface IInferenceCoordinator {
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

    // ---------------------------------------------------------------- ledger
    function deposit(uint256 amount) external;
    /// @notice Tries the permit, ignores its failure, then deposits (a front-run permit must not break the call).
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    function withdraw(uint256 amount) external;
    function withdrawTo(address to, uint256 amount) external;
    /// @notice Several of this contract's own calls in one transaction, all or none. No nesting.
    function multicall(bytes[] calldata data) external returns (bytes[] memory results);

    // ---------------------------------------------------------------- jobs: the requester's side
    /// @notice Escrows the whole maxFee of the model's current version and leases the job to a drawn node.
    function submitPrompt(string calldata promptCID, string calldata modelId) external returns (uint256 jobId);
    /// @param ceiling highest maxFee (wei) the requester accepts; a dearer version reverts
    /// @param share escrow is ceil(maxFeeGwei * (share + 1) / 256) gwei; it has to cover the flat fee
    /// @param node the node to lease to, or zero for a draw; a named node that is not eligible reverts
    function submitPrompt(
        string calldata promptCID,
        string calldata modelId,
        uint256 ceiling,
        uint8 share,
        address node
    ) external returns (uint256 jobId);
    /// @param modelCID the exact CID string that an owner-registered, active model now holds
    function submitPromptWithCID(string calldata promptCID, string calldata modelCID)
        external
        returns (uint256 jobId);
    /// @notice Only while the job is Open: an answer to a lease may already be public.
    function cancelJob(uint256 jobId) external;
    /// @notice By anyone, once the job's time or attempts are over. Never blocked by a pause or a lack of stake.
    function expireJob(uint256 jobId) external;

    // ---------------------------------------------------------------- jobs: the node's side
    /// @notice Bills the flat part of the price.
    function submitResponse(uint256 jobId, string calldata responseCID) external;
    /// @notice As above, and reverts unless the job is the one with this request digest (safe across re-orgs).
    function submitResponse(uint256 jobId, string calldata responseCID, bytes32 requestDigest) external;
    /// @notice Bills flat part and usage, at most the escrow.
    function submitResponse(
        uint256 jobId,
        string calldata responseCID,
        bytes32 requestDigest,
        uint32 inputTokens,
        uint32 outputTokens
    ) external;
    /// @notice Takes an Open job, or one whose lease and grace have passed (its holder is then a no-show).
    function takeJob(uint256 jobId) external;
    /// @notice Hands a job back in time. Busy and EngineFailed cost the node 1/50 of the escrow and reopen the job (the
    /// last attempt expires it); content codes end the job and cost the requester 1/50 of the escrow.
    function failJob(uint256 jobId, FailureCode code) external;
    /// @notice Matures a node's earnings of final epochs; anyone may call.
    function settle(address node) external;

    // ---------------------------------------------------------------- stake and duty
    function stake(uint256 amount) external;
    function stakeWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    /// @notice Starts the cool-down of free stake. A second request adds to the first and restarts the clock.
    function requestUnstake(uint256 amount) external;
    function withdrawStake() external;
    /// @notice Promises not to unstake before `until`; raises the number of entries (lock-up multiplier).
    function lockStake(uint64 until) external;
    /// @notice Takes duty again after a no-show.
    function resume() external;
    /// @notice Adds the node's entries, at most `maxSteps`, to a version's list. Call again to go on or after staking more.
    function joinVersion(uint256 version, uint256 maxSteps) external returns (uint256 added);
    /// @notice Removes at most `maxSteps` of the caller's entries. Call again until 0 remain.
    function leaveVersion(uint256 version, uint256 maxSteps) external returns (uint256 remaining);
    /// @notice By anyone: removes entries that a node no longer has the stake, the profile or the slots for.
    function pruneEntries(address node, uint256 version, uint256 maxSteps) external returns (uint256 removed);

    // ---------------------------------------------------------------- publishers
    /// @notice Returns the bond of a deactivated model to its publisher's credit, after the cool-down; anyone may call.
    function returnBond(string calldata modelId) external;

    // ---------------------------------------------------------------- owner
    function scheduleFeeRate(uint16 feeBps) external;
    function setTreasury(address treasury) external;
    function setPublisherBond(uint256 bond) external;
    function setNewWorkPaused(bool paused) external;
    /// @notice Sends collected fees to the treasury; anyone may call.
    function collectFees() external;

    // ---------------------------------------------------------------- pushed by the registries
    /// @param publisher who bonds for the model, zero for the owner's models
    function onVersionAnnounced(
        string calldata modelId,
        string calldata modelCID,
        Terms calldata terms,
        address publisher
    ) external returns (uint256 version);
    function onModelActive(string calldata modelId, bool active) external;
    function onNodeRegistered(address node, address payout, uint16 slots) external;
    function onNodeSlots(address node, uint16 slots) external;
    function onNodeDeregistered(address node) external;

    // ---------------------------------------------------------------- views
    function token() external view returns (address);
    function modelRegistry() external view returns (address);
    function nodeRegistry() external view returns (address);
    function credit(address account) external view returns (uint256);
    function job(uint256 jobId) external view returns (Job memory);
    function jobCount() external view returns (uint256);
    /// @notice The last second at which the job can still be alive: open + attempts * (lease + grace + open).
    function maxJobLife(uint256 version) external view returns (uint256 seconds_);
    function node(address operator) external view returns (Node memory);
    function nodeCount() external view returns (uint256);
    function nodeAt(uint256 number) external view returns (address operator);
    /// @notice Whether a node could be leased a job with this escrow of this version now.
    function isEligible(address operator, uint256 version, uint256 escrow) external view returns (bool);
    function version(uint256 number) external view returns (Version memory);
    function versionCount() external view returns (uint256);
    /// @notice The version that serves new submits of this model now, and the announced one if another waits (else 0).
    function currentVersion(string calldata modelId) external view returns (uint256 current, uint256 announced);
    function joinedVersions(address operator) external view returns (uint256[] memory);
    function entriesOf(uint256 version, uint256 offset, uint256 limit) external view returns (address[] memory);
    function clocks() external view returns (Clocks memory);
    function stakeUnit() external view returns (uint256);
    function publisherBond() external view returns (uint256);
    /// @notice The bond held for a model, and from when it can be returned (0: not before the model is deactivated).
    function bondOf(string calldata modelId)
        external
        view
        returns (address publisher, uint256 amount, uint256 returnableFrom);
    function termsBounds() external view returns (TermsBounds memory);
    function announceDelaySeconds() external view returns (uint256);
    function noShowRewardCap() external view returns (uint256);
    function currentEpoch() external view returns (uint256);
    function MAX_FEE_BPS() external view returns (uint256);
    function feeBpsAt(uint256 epoch) external view returns (uint256);
    function collectableFees() external view returns (uint256);
    function treasury() external view returns (address);
    function newWorkPaused() external view returns (bool);
}
