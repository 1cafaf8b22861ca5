// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @param endpoint base URL of the node's HTTP listener, empty if it has none
/// @param encryptionKey public key for sealed prompts, empty if it serves none
/// @param region free text, such as "eu-central"
/// @param payout where matured earnings are credited; zero means the operator itself. Fixed for good by the operator's first
/// registration, and ignored in a later one.
/// @param slots jobs the node takes at once
struct Profile {
    string endpoint;
    bytes encryptionKey;
    string region;
    address payout;
    uint16 slots;
}

struct NodeInfo {
    uint256 maxRAM;
    uint256 maxVRAM;
    uint256 maxCPUPercent;
    Profile profile;
    uint256 registeredAt;
    bool isRegistered;
}

/// @title Who the nodes are and what they can do.
/// @notice TRUST. A profile is its operator's word; only stake, held by the coordinator, backs it. Nobody but the operator
/// can change or remove a profile. Memory is in MiB, CPU in percent (100 per core).
interface INodeProfileRegistry {
    event NodeRegistered(address indexed node, uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent);
    event NodeProfileChanged(address indexed node, string endpoint, string region, uint256 slots);
    event NodeDeregistered(address indexed node);

    error NodeExists();
    error NodeUnknown();
    error TextTooLong();
    error OutOfBounds();
    error NotTheCoordinatorsRegistry();

    /// @notice One slot, no endpoint, earnings to the caller. Needs no stake; without stake a node gets no jobs.
    function registerNode(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent) external;
    function registerNode(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent, Profile calldata profile) external;
    /// @notice Changes resources, endpoint, key, region and slots; the payout address stays (profile.payout is ignored).
    function updateProfile(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent, Profile calldata profile) external;
    function setSlots(uint16 slots) external;
    /// @notice Slots go to 0 at once; jobs in flight, their duty and the stake behind them stay.
    function deregisterNode() external;

    function coordinator() external view returns (address);
    /// @return an empty profile for an address that is not registered
    function getNode(address node) external view returns (NodeInfo memory);
    function nodes(uint256 offset, uint256 limit) external view returns (address[] memory operators, NodeInfo[] memory infos);
    function nodeCount() external view returns (uint256);
}
