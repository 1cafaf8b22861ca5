// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Node, Terms, TermsBounds, Version} from "./InferenceTypes.sol";
import {ICoordinatorEvents} from "./ICoordinatorEvents.sol";

/// @title The half of the coordinator off the hot path: stake and duty, lists of entries, versions, owner, views.
/// @notice Called at the coordinator's address, like everything else.
interface ICoordinatorOffice is ICoordinatorEvents {
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
    /// @notice Matures a node's earnings of final epochs; anyone may call.
    function settle(address node) external;
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
    function modelRegistry() external view returns (address);
    function nodeRegistry() external view returns (address);
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
    function stakeUnit() external view returns (uint256);
    /// @notice The bond held for a model, and from when it can be returned (0: not before the model is deactivated).
    function bondOf(string calldata modelId)
        external
        view
        returns (address publisher, uint256 amount, uint256 returnableFrom);
    function termsBounds() external view returns (TermsBounds memory);
    function announceDelaySeconds() external view returns (uint256);
}
