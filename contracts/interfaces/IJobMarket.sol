// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clocks, FailureCode, Job} from "./InferenceTypes.sol";
import {ICoordinatorEvents} from "./ICoordinatorEvents.sol";

/// @title The half of the coordinator that jobs run through: the ledger's doors and a job from request to ending.
interface IJobMarket is ICoordinatorEvents {
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
    /// @notice The same, for the request of this digest only: after a re-organisation another job may have its number.
    function failJob(uint256 jobId, FailureCode code, bytes32 requestDigest) external;

    // ---------------------------------------------------------------- views
    function token() external view returns (address);
    function credit(address account) external view returns (uint256);
    function job(uint256 jobId) external view returns (Job memory);
    function jobCount() external view returns (uint256);
    function clocks() external view returns (Clocks memory);
    function noShowRewardCap() external view returns (uint256);
    function currentEpoch() external view returns (uint256);
    function feeBpsAt(uint256 epoch) external view returns (uint256);
    function collectableFees() external view returns (uint256);
    function treasury() external view returns (address);
    function newWorkPaused() external view returns (bool);
    function MAX_FEE_BPS() external view returns (uint256);
    function publisherBond() external view returns (uint256);
    /// @notice The code of the other half, fixed at birth.
    function office() external view returns (address);
}
