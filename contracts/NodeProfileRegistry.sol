// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInferenceCoordinator} from "./interfaces/IInferenceCoordinator.sol";
import {INodeProfileRegistry, NodeInfo, Profile} from "./interfaces/INodeProfileRegistry.sol";

/// @title Profiles of nodes; slots and payout are pushed to the coordinator, which holds the stake.
contract NodeProfileRegistry is INodeProfileRegistry {
    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant MAX_ENDPOINT_BYTES = 256;
    uint256 private constant MAX_KEY_BYTES = 128;
    uint256 private constant MAX_REGION_BYTES = 64;
    /// 1 PiB in MiB, and 4,096 cores in percent: beyond that a number is a mistake of units.
    uint256 private constant MAX_MEMORY_MIB = 1 << 30;
    uint256 private constant MAX_CPU_PERCENT = 409_600;
    uint256 private constant MAX_PAGE = 100;

    IInferenceCoordinator private immutable _COORDINATOR;

    // ---------------------------------------------------------------- storage
    mapping(address operator => NodeInfo) private _nodes;
    /// Registered operators, and the place of each in the list plus one.
    address[] private _operators;
    mapping(address operator => uint256) private _placeAfter;

    // ---------------------------------------------------------------- constructor
    /// @param coordinator_ must name this very address as its node registry
    constructor(address coordinator_) {
        _COORDINATOR = IInferenceCoordinator(coordinator_);
        require(_COORDINATOR.nodeRegistry() == address(this), NotTheCoordinatorsRegistry());
    }

    // ---------------------------------------------------------------- nodes
    /// @inheritdoc INodeProfileRegistry
    function registerNode(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent) external {
        Profile memory profile;
        profile.slots = 1;
        _register(maxRAM, maxVRAM, maxCPUPercent, profile);
    }

    /// @inheritdoc INodeProfileRegistry
    function registerNode(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent, Profile calldata profile) external {
        _register(maxRAM, maxVRAM, maxCPUPercent, profile);
    }

    /// @inheritdoc INodeProfileRegistry
    function updateProfile(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent, Profile calldata profile) external {
        NodeInfo storage n = _known(msg.sender);
        address payout = n.profile.payout;
        uint16 slots = n.profile.slots;
        _write(n, maxRAM, maxVRAM, maxCPUPercent, profile);
        n.profile.payout = payout;
        emit NodeProfileChanged(msg.sender, profile.endpoint, profile.region, profile.slots);
        if (profile.slots != slots) _COORDINATOR.onNodeSlots(msg.sender, profile.slots);
    }

    /// @inheritdoc INodeProfileRegistry
    function setSlots(uint16 slots) external {
        NodeInfo storage n = _known(msg.sender);
        n.profile.slots = slots;
        emit NodeProfileChanged(msg.sender, n.profile.endpoint, n.profile.region, slots);
        _COORDINATOR.onNodeSlots(msg.sender, slots);
    }

    /// @inheritdoc INodeProfileRegistry
    function deregisterNode() external {
        _known(msg.sender);
        delete _nodes[msg.sender];
        _unlist(msg.sender);
        emit NodeDeregistered(msg.sender);
        _COORDINATOR.onNodeDeregistered(msg.sender);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc INodeProfileRegistry
    function coordinator() external view returns (address) {
        return address(_COORDINATOR);
    }

    /// @inheritdoc INodeProfileRegistry
    function getNode(address node) external view returns (NodeInfo memory) {
        return _nodes[node];
    }

    /// @inheritdoc INodeProfileRegistry
    function nodes(uint256 offset, uint256 limit)
        external
        view
        returns (address[] memory operators, NodeInfo[] memory infos)
    {
        uint256 left = offset < _operators.length ? _operators.length - offset : 0;
        uint256 page = limit < MAX_PAGE ? limit : MAX_PAGE;
        if (page > left) page = left;
        operators = new address[](page);
        infos = new NodeInfo[](page);
        for (uint256 i; i < page; ++i) {
            operators[i] = _operators[offset + i];
            infos[i] = _nodes[operators[i]];
        }
    }

    /// @inheritdoc INodeProfileRegistry
    function nodeCount() external view returns (uint256) {
        return _operators.length;
    }

    // ---------------------------------------------------------------- internal
    function _register(uint256 maxRAM, uint256 maxVRAM, uint256 maxCPUPercent, Profile memory profile) private {
        NodeInfo storage n = _nodes[msg.sender];
        require(!n.isRegistered, NodeExists());
        profile.payout = _payoutOf(msg.sender, profile.payout);
        _write(n, maxRAM, maxVRAM, maxCPUPercent, profile);
        n.registeredAt = block.timestamp;
        n.isRegistered = true;
        _operators.push(msg.sender);
        _placeAfter[msg.sender] = _operators.length;
        emit NodeRegistered(msg.sender, maxRAM, maxVRAM, maxCPUPercent);
        emit NodeProfileChanged(msg.sender, profile.endpoint, profile.region, profile.slots);
        _COORDINATOR.onNodeRegistered(msg.sender, profile.payout, profile.slots);
    }

    /// @dev The payout address of the first registration holds for good: a stolen operator key cannot divert earnings.
    function _payoutOf(address operator, address wanted) private view returns (address) {
        address fixed_ = _COORDINATOR.node(operator).payout;
        if (fixed_ != address(0)) return fixed_;
        require(wanted != address(_COORDINATOR), OutOfBounds()); // credit of its own nobody could withdraw
        return wanted == address(0) ? operator : wanted;
    }

    function _write(
        NodeInfo storage n,
        uint256 maxRAM,
        uint256 maxVRAM,
        uint256 maxCPUPercent,
        Profile memory profile
    ) private {
        require(maxRAM <= MAX_MEMORY_MIB && maxVRAM <= MAX_MEMORY_MIB, OutOfBounds());
        require(maxCPUPercent <= MAX_CPU_PERCENT, OutOfBounds());
        require(bytes(profile.endpoint).length <= MAX_ENDPOINT_BYTES, TextTooLong());
        require(profile.encryptionKey.length <= MAX_KEY_BYTES, TextTooLong());
        require(bytes(profile.region).length <= MAX_REGION_BYTES, TextTooLong());
        (n.maxRAM, n.maxVRAM, n.maxCPUPercent) = (maxRAM, maxVRAM, maxCPUPercent);
        n.profile = profile;
    }

    function _unlist(address operator) private {
        uint256 place = _placeAfter[operator] - 1;
        address last = _operators[_operators.length - 1];
        _operators[place] = last;
        _placeAfter[last] = place + 1;
        _operators.pop();
        delete _placeAfter[operator];
    }

    function _known(address operator) private view returns (NodeInfo storage n) {
        n = _nodes[operator];
        require(n.isRegistered, NodeUnknown());
    }
}
