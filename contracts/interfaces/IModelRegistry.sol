// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Terms} from "./InferenceTypes.sol";

struct ModelInfo {
    string modelCID;
    string name;
    string description;
    uint256 timestamp;
    bool isActive;
}

/// @title Which models exist, who announced them and under which terms.
/// @notice TRUST. The owner may add, announce and deactivate owner models. Publishers may do the same for models under
/// their own address prefix, backed by a bond that the coordinator holds; the owner cannot touch those. Nobody can change
/// a job that was submitted: a version, once announced, is immutable, and a new one serves new submits only after the
/// announce delay.
/// @notice The coordinator checks CID, terms and bond, so its errors (InvalidCID, InvalidTerms, CIDTaken, InsufficientCredit)
/// come through here.
interface IModelRegistry {
    /// @param publisher zero for the owner's models
    event ModelRegistered(string modelId, string modelCID, string name, address indexed publisher);
    event ModelUpdated(string modelId, string modelCID, uint256 version);
    event ModelActivityChanged(string modelId, bool isActive);

    error ModelExists();
    error ModelUnknown();
    error NotPublisher();
    error InvalidId();
    error TextTooLong();
    error ActivityUnchanged();
    error NotTheCoordinatorsRegistry();

    /// @notice Owner only; the deployment's default terms.
    function registerModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description
    ) external;
    /// @notice Owner only; own terms.
    function registerModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms calldata terms
    ) external;
    /// @notice Announces a new version with the model's present terms. Owner, or the model's publisher.
    function updateModel(string calldata modelId, string calldata newModelCID) external;
    function updateModel(string calldata modelId, string calldata newModelCID, Terms calldata terms) external;
    function setModelActive(string calldata modelId, bool active) external;
    /// @notice Anyone, with the publisher bond in credit: modelId must be "<lower-case address>/<name>".
    function publishModel(
        string calldata modelId,
        string calldata modelCID,
        string calldata name,
        string calldata description,
        Terms calldata terms
    ) external;

    function coordinator() external view returns (address);
    /// @notice With the announced CID, whether it serves already or not.
    function getModel(string calldata modelId) external view returns (ModelInfo memory);
    /// @dev For outside callers only; use the paged view when there are many.
    function getAllModels() external view returns (string[] memory);
    function getActiveModels() external view returns (string[] memory);
    function models(uint256 offset, uint256 limit)
        external
        view
        returns (string[] memory modelIds, ModelInfo[] memory infos);
    function modelCount() external view returns (uint256);
    /// @return zero for the owner's models
    function publisherOf(string calldata modelId) external view returns (address);
    function defaultTerms() external view returns (Terms memory);
}
