// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TermsBounds} from "../interfaces/InferenceTypes.sol";
import {VersionCode} from "../libraries/VersionCode.sol";
import {Treasury} from "./Treasury.sol";

/// @title Models as the hot path sees them, and their immutable versions.
abstract contract Versions is Treasury {
    using VersionCode for address;

    /// @dev One word: the version that serves and where its CID is; an announced version waits until `switchesAt`.
    struct Model {
        address code;
        uint24 current;
        uint24 announced;
        uint40 switchesAt;
        bool active;
    }

    /// @dev One word: what a job needs of its version, and the length of the version's list of entries.
    struct Head {
        uint40 inputPriceGwei;
        uint40 outputPriceGwei;
        uint48 flatFeeGwei;
        uint48 maxFeeGwei;
        uint16 leaseSeconds;
        uint16 openSeconds;
        uint32 entries;
    }

    /// @dev One word that only views, switches and announcements read.
    struct Facts {
        address code;
        uint40 servesFrom;
        uint24 maxInputTokens;
        uint24 maxOutputTokens;
    }

    /// @dev Two words. Zero `returnableFrom` means that the model is active and needs its bond.
    struct Bond {
        address publisher;
        uint40 returnableFrom;
        bool held;
        uint256 amount;
    }

    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant MAX_CID_BYTES = 96;
    uint256 private constant MAX_MODEL_ID_BYTES = 128;
    uint256 private constant MAX_ANNOUNCE_DELAY_SECONDS = 30 days;

    address internal immutable _MODEL_REGISTRY;
    uint256 internal immutable _ANNOUNCE_DELAY_SECONDS;
    uint48 internal immutable _MIN_MAX_FEE_GWEI;
    uint48 internal immutable _MAX_MAX_FEE_GWEI;
    uint16 internal immutable _MIN_LEASE_SECONDS;
    uint16 internal immutable _MAX_LEASE_SECONDS;
    uint16 internal immutable _MIN_OPEN_SECONDS;
    uint16 internal immutable _MAX_OPEN_SECONDS;

    // ---------------------------------------------------------------- storage
    mapping(bytes32 modelKey => Model) internal _models;
    mapping(uint256 version => Head) internal _heads;
    mapping(uint256 version => Facts) internal _facts;
    /// The owner's model that last announced a CID; whether it still holds it is checked at use.
    mapping(bytes32 cidHash => bytes32 modelKey) internal _modelOfCID;
    mapping(bytes32 modelKey => Bond) internal _bonds;

    // ---------------------------------------------------------------- constructor
    constructor(address modelRegistry_, uint256 announceDelay, TermsBounds memory b) {
        require(modelRegistry_ != address(0) && announceDelay <= MAX_ANNOUNCE_DELAY_SECONDS, OutOfBounds());
        require(b.minMaxFeeGwei != 0 && b.minMaxFeeGwei <= b.maxMaxFeeGwei, OutOfBounds());
        require(b.minLeaseSeconds != 0 && b.minLeaseSeconds <= b.maxLeaseSeconds, OutOfBounds());
        require(b.minOpenSeconds != 0 && b.minOpenSeconds <= b.maxOpenSeconds, OutOfBounds());
        _MODEL_REGISTRY = modelRegistry_;
        _ANNOUNCE_DELAY_SECONDS = announceDelay;
        _MIN_MAX_FEE_GWEI = b.minMaxFeeGwei;
        _MAX_MAX_FEE_GWEI = b.maxMaxFeeGwei;
        _MIN_LEASE_SECONDS = b.minLeaseSeconds;
        _MAX_LEASE_SECONDS = b.maxLeaseSeconds;
        _MIN_OPEN_SECONDS = b.minOpenSeconds;
        _MAX_OPEN_SECONDS = b.maxOpenSeconds;
    }

    // ---------------------------------------------------------------- internal
    /// @dev The version that takes new jobs under this key. A switch that is due is written once, so later calls read one word.
    function _servingVersion(bytes32 key) internal returns (uint256 number, address code) {
        Model storage m = _models[key];
        number = m.current;
        require(number != 0, UnknownModel());
        require(m.active, ModelInactive());
        if (m.announced != 0 && block.timestamp >= m.switchesAt) {
            Model memory promoted = m;
            _promote(promoted);
            _models[key] = promoted;
            return (promoted.current, promoted.code);
        }
        code = m.code;
    }

    /// @dev The id of the owner's active model that holds this very CID now.
    function _modelIdOfCID(string calldata modelCID) internal view returns (string memory) {
        bytes32 cidHash = keccak256(bytes(modelCID));
        Model memory m = _models[_modelOfCID[cidHash]];
        if (_isSwitchDue(m)) _promote(m);
        require(m.active && _holds(m.code, cidHash), UnknownModel());
        return m.code.modelIdOf();
    }

    function _keyOf(string memory modelId) internal pure returns (bytes32) {
        require(bytes(modelId).length != 0 && bytes(modelId).length <= MAX_MODEL_ID_BYTES, InvalidModelId());
        return keccak256(bytes(modelId));
    }

    function _requireVersion(uint256 number) internal view {
        require(_heads[number].maxFeeGwei != 0, VersionNotServed());
    }

    function _checkCID(string calldata cid) internal pure {
        require(bytes(cid).length != 0 && bytes(cid).length <= MAX_CID_BYTES, InvalidCID());
    }

    function _promote(Model memory m) internal view {
        (m.code, m.current, m.announced, m.switchesAt) = (_facts[m.announced].code, m.announced, 0, 0);
    }

    function _isSwitchDue(Model memory m) internal view returns (bool) {
        return m.announced != 0 && block.timestamp >= m.switchesAt;
    }

    function _holds(address code, bytes32 cidHash) internal view returns (bool) {
        return code != address(0) && keccak256(bytes(code.cidOf())) == cidHash;
    }
}
