// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IInferenceCoordinator} from "./interfaces/IInferenceCoordinator.sol";
import {IModelRegistry, ModelInfo} from "./interfaces/IModelRegistry.sol";
import {Terms} from "./interfaces/InferenceTypes.sol";
import {ModelIds} from "./libraries/ModelIds.sol";

/// @title Names, descriptions and publishers of models; what a job needs of them is pushed to the coordinator.
contract ModelRegistry is IModelRegistry, Ownable2Step {
    struct Record {
        ModelInfo info;
        address publisher;
        uint32 latestVersion;
    }

    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant MAX_NAME_BYTES = 128;
    uint256 private constant MAX_DESCRIPTION_BYTES = 2_048;
    uint256 private constant MAX_PAGE = 100;

    IInferenceCoordinator private immutable _COORDINATOR;

    // ---------------------------------------------------------------- storage
    Terms private _defaultTerms;
    string[] private _ids;
    mapping(bytes32 modelKey => Record) private _records;

    // ---------------------------------------------------------------- constructor
    /// @param coordinator_ must name this very address as its model registry
    constructor(address coordinator_, address owner_, Terms memory defaultTerms_) Ownable(owner_) {
        _COORDINATOR = IInferenceCoordinator(coordinator_);
        require(_COORDINATOR.modelRegistry() == address(this), NotTheCoordinatorsRegistry());
        _defaultTerms = defaultTerms_;
    }

    // ---------------------------------------------------------------- owner's models
    /// @inheritdoc IModelRegistry
    function registerModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description
    ) external onlyOwner {
        _registerOwned(modelId, modelCID, name, description, _defaultTerms);
    }

    /// @inheritdoc IModelRegistry
    function registerModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms calldata terms
    ) external onlyOwner {
        _registerOwned(modelId, modelCID, name, description, terms);
    }

    // ---------------------------------------------------------------- publishers' models
    /// @inheritdoc IModelRegistry
    function publishModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms calldata terms
    ) external {
        require(ModelIds.isPublisherId(modelId, msg.sender), InvalidId());
        _register(modelId, modelCID, name, description, terms, msg.sender);
    }

    // ---------------------------------------------------------------- both
    /// @inheritdoc IModelRegistry
    function updateModel(string calldata modelId, string calldata newModelCID) external {
        Record storage r = _controlled(modelId);
        _update(r, modelId, newModelCID, _COORDINATOR.version(r.latestVersion).terms);
    }

    /// @inheritdoc IModelRegistry
    function updateModel(string calldata modelId, string calldata newModelCID, Terms calldata terms) external {
        _update(_controlled(modelId), modelId, newModelCID, terms);
    }

    /// @inheritdoc IModelRegistry
    function setModelActive(string calldata modelId, bool active) external {
        Record storage r = _controlled(modelId);
        require(r.info.isActive != active, ActivityUnchanged());
        r.info.isActive = active;
        emit ModelActivityChanged(modelId, active);
        _COORDINATOR.onModelActive(modelId, active);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IModelRegistry
    function coordinator() external view returns (address) {
        return address(_COORDINATOR);
    }

    /// @inheritdoc IModelRegistry
    function getModel(string calldata modelId) external view returns (ModelInfo memory) {
        return _known(modelId).info;
    }

    /// @inheritdoc IModelRegistry
    function getAllModels() external view returns (string[] memory) {
        return _ids;
    }

    /// @inheritdoc IModelRegistry
    function getActiveModels() external view returns (string[] memory active) {
        uint256 total = _ids.length;
        active = new string[](total);
        uint256 count;
        for (uint256 i; i < total; ++i) {
            string memory id = _ids[i];
            if (_records[keccak256(bytes(id))].info.isActive) active[count++] = id;
        }
        // The list was allocated for all models: cut its length to those that were found.
        assembly ("memory-safe") {
            mstore(active, count)
        }
    }

    /// @inheritdoc IModelRegistry
    function models(uint256 offset, uint256 limit)
        external
        view
        returns (string[] memory modelIds, ModelInfo[] memory infos)
    {
        uint256 left = offset < _ids.length ? _ids.length - offset : 0;
        uint256 page = limit < MAX_PAGE ? limit : MAX_PAGE;
        if (page > left) page = left;
        modelIds = new string[](page);
        infos = new ModelInfo[](page);
        for (uint256 i; i < page; ++i) {
            modelIds[i] = _ids[offset + i];
            infos[i] = _records[keccak256(bytes(modelIds[i]))].info;
        }
    }

    /// @inheritdoc IModelRegistry
    function modelCount() external view returns (uint256) {
        return _ids.length;
    }

    /// @inheritdoc IModelRegistry
    function publisherOf(string calldata modelId) external view returns (address) {
        return _known(modelId).publisher;
    }

    /// @inheritdoc IModelRegistry
    function defaultTerms() external view returns (Terms memory) {
        return _defaultTerms;
    }

    // ---------------------------------------------------------------- internal
    function _registerOwned(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms memory terms
    ) private {
        require(ModelIds.isOwnerId(modelId), InvalidId());
        _register(modelId, modelCID, name, description, terms, address(0));
    }

    function _register(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms memory terms,
        address publisher
    ) private {
        Record storage r = _records[keccak256(bytes(modelId))];
        require(r.latestVersion == 0, ModelExists());
        require(bytes(name).length <= MAX_NAME_BYTES, TextTooLong());
        require(bytes(description).length <= MAX_DESCRIPTION_BYTES, TextTooLong());
        r.info = ModelInfo(modelCID, name, description, block.timestamp, true);
        r.publisher = publisher;
        _ids.push(modelId);
        emit ModelRegistered(modelId, modelCID, name, publisher);
        _announce(r, modelId, modelCID, terms);
    }

    function _update(Record storage r, string calldata modelId, string calldata newModelCID, Terms memory terms) private {
        r.info.modelCID = newModelCID;
        uint256 version = _announce(r, modelId, newModelCID, terms);
        emit ModelUpdated(modelId, newModelCID, version);
    }

    /// @dev The coordinator is part of this deployment and calls nothing in return, so writing after the call is safe.
    function _announce(Record storage r, string calldata modelId, string calldata modelCID, Terms memory terms)
        private
        returns (uint256 version)
    {
        version = _COORDINATOR.onVersionAnnounced(modelId, modelCID, terms, r.publisher);
        r.latestVersion = uint32(version); // versions are counted in 24 bits
    }

    function _known(string calldata modelId) private view returns (Record storage r) {
        r = _records[keccak256(bytes(modelId))];
        require(r.latestVersion != 0, ModelUnknown());
    }

    /// @dev The owner controls the owner's models, a publisher its own, and neither the other's.
    function _controlled(string calldata modelId) private view returns (Record storage r) {
        r = _known(modelId);
        if (r.publisher == address(0)) _checkOwner();
        else require(r.publisher == msg.sender, NotPublisher());
    }
}
