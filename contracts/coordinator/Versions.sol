// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Terms, TermsBounds, Version} from "../interfaces/InferenceTypes.sol";
import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";
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

    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant MAX_CID_BYTES = 96;
    uint256 private constant MAX_MODEL_ID_BYTES = 128;
    uint256 private constant MAX_ANNOUNCE_DELAY_SECONDS = 30 days;

    address private immutable _MODEL_REGISTRY;
    uint256 private immutable _ANNOUNCE_DELAY_SECONDS;
    uint48 private immutable _MIN_MAX_FEE_GWEI;
    uint48 private immutable _MAX_MAX_FEE_GWEI;
    uint16 private immutable _MIN_LEASE_SECONDS;
    uint16 private immutable _MAX_LEASE_SECONDS;
    uint16 private immutable _MIN_OPEN_SECONDS;
    uint16 private immutable _MAX_OPEN_SECONDS;

    // ---------------------------------------------------------------- storage
    mapping(bytes32 modelKey => Model) private _models;
    mapping(uint256 version => Head) internal _heads;
    mapping(uint256 version => Facts) private _facts;
    /// The owner's model that last announced a CID; whether it still holds it is checked at use.
    mapping(bytes32 cidHash => bytes32 modelKey) private _modelOfCID;

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

    modifier onlyModelRegistry() {
        require(msg.sender == _MODEL_REGISTRY, NotRegistry());
        _;
    }

    // ---------------------------------------------------------------- pushed by the registry
    /// @inheritdoc IInferenceCoordinator
    function onVersionAnnounced(
        string calldata modelId,
        string calldata modelCID,
        Terms calldata terms,
        address publisher
    ) external onlyModelRegistry returns (uint256 number) {
        bytes32 key = _keyOf(modelId);
        _checkCID(modelCID);
        _checkTerms(terms);
        if (publisher == address(0)) _claimCID(keccak256(bytes(modelCID)), key);
        number = ++_counters.versions;
        address code = VersionCode.store(modelCID, modelId);
        uint256 servesFrom = _announce(key, number, code);
        _heads[number] = Head(
            terms.inputPriceGwei,
            terms.outputPriceGwei,
            terms.flatFeeGwei,
            terms.maxFeeGwei,
            terms.leaseSeconds,
            terms.openSeconds,
            0
        );
        _facts[number] = Facts(code, uint40(servesFrom), terms.maxInputTokens, terms.maxOutputTokens);
        _onAnnounced(modelId, key, publisher);
        emit VersionAnnounced(number, modelId, modelCID, terms, servesFrom);
    }

    /// @inheritdoc IInferenceCoordinator
    function onModelActive(string calldata modelId, bool active) external onlyModelRegistry {
        bytes32 key = keccak256(bytes(modelId));
        require(_models[key].current != 0, UnknownModel());
        _models[key].active = active;
        _onActivity(modelId, key, active);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function modelRegistry() external view returns (address) {
        return _MODEL_REGISTRY;
    }

    /// @inheritdoc IInferenceCoordinator
    function announceDelaySeconds() external view returns (uint256) {
        return _ANNOUNCE_DELAY_SECONDS;
    }

    /// @inheritdoc IInferenceCoordinator
    function termsBounds() external view returns (TermsBounds memory) {
        return TermsBounds(
            _MIN_MAX_FEE_GWEI,
            _MAX_MAX_FEE_GWEI,
            _MIN_LEASE_SECONDS,
            _MAX_LEASE_SECONDS,
            _MIN_OPEN_SECONDS,
            _MAX_OPEN_SECONDS
        );
    }

    /// @inheritdoc IInferenceCoordinator
    function versionCount() external view returns (uint256) {
        return _counters.versions;
    }

    /// @inheritdoc IInferenceCoordinator
    function version(uint256 number) external view returns (Version memory) {
        Facts memory f = _facts[number];
        require(f.code != address(0), VersionNotServed());
        Head memory h = _heads[number];
        Terms memory terms = Terms(
            h.inputPriceGwei,
            h.outputPriceGwei,
            h.flatFeeGwei,
            h.maxFeeGwei,
            h.leaseSeconds,
            h.openSeconds,
            f.maxInputTokens,
            f.maxOutputTokens
        );
        return Version(f.code.modelIdOf(), f.code.cidOf(), terms, h.entries, f.servesFrom);
    }

    /// @inheritdoc IInferenceCoordinator
    function currentVersion(string calldata modelId) external view returns (uint256 current, uint256 announced) {
        Model memory m = _models[keccak256(bytes(modelId))];
        if (_isSwitchDue(m)) return (m.announced, 0);
        return (m.current, m.announced);
    }

    /// @inheritdoc IInferenceCoordinator
    function maxJobLife(uint256 number) external view returns (uint256) {
        Head memory h = _heads[number];
        require(h.maxFeeGwei != 0, VersionNotServed());
        return h.openSeconds + _MAX_ATTEMPTS * (h.leaseSeconds + _GRACE_SECONDS + h.openSeconds);
    }

    // ---------------------------------------------------------------- internal
    function _onAnnounced(string calldata modelId, bytes32 key, address publisher) internal virtual;
    function _onActivity(string calldata modelId, bytes32 key, bool active) internal virtual;

    /// @dev The model that takes new jobs under this key. A switch that is due is written once, so later calls read one word.
    function _servingModel(bytes32 key) internal returns (Model memory m) {
        m = _models[key];
        require(m.current != 0, UnknownModel());
        require(m.active, ModelInactive());
        if (_isSwitchDue(m)) {
            _promote(m);
            _models[key] = m;
        }
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

    function _checkTerms(Terms calldata t) private view {
        require(t.maxFeeGwei >= _MIN_MAX_FEE_GWEI && t.maxFeeGwei <= _MAX_MAX_FEE_GWEI, InvalidTerms());
        require(t.leaseSeconds >= _MIN_LEASE_SECONDS && t.leaseSeconds <= _MAX_LEASE_SECONDS, InvalidTerms());
        require(t.openSeconds >= _MIN_OPEN_SECONDS && t.openSeconds <= _MAX_OPEN_SECONDS, InvalidTerms());
        require(t.flatFeeGwei <= t.maxFeeGwei && t.maxInputTokens != 0 && t.maxOutputTokens != 0, InvalidTerms());
    }

    /// @dev A model's first version serves at once, a later one after the delay; a waiting one is replaced.
    function _announce(bytes32 key, uint256 number, address code) private returns (uint256 servesFrom) {
        Model memory m = _models[key];
        if (_isSwitchDue(m)) _promote(m);
        servesFrom = block.timestamp;
        // Versions are counted in 24 bits (Counters), and the clock fits 40 bits for 34,000 years.
        if (m.current == 0) {
            (m.code, m.current, m.active) = (code, uint24(number), true);
        } else {
            servesFrom += _ANNOUNCE_DELAY_SECONDS;
            (m.announced, m.switchesAt) = (uint24(number), uint40(servesFrom));
        }
        _models[key] = m;
    }

    function _claimCID(bytes32 cidHash, bytes32 key) private {
        bytes32 holderKey = _modelOfCID[cidHash];
        if (holderKey == key) return;
        Model memory m = _models[holderKey];
        bool isHeld = _holds(m.code, cidHash) || _holds(_facts[m.announced].code, cidHash);
        require(!isHeld, CIDTaken());
        _modelOfCID[cidHash] = key;
    }

    function _promote(Model memory m) private view {
        (m.code, m.current, m.announced, m.switchesAt) = (_facts[m.announced].code, m.announced, 0, 0);
    }

    function _isSwitchDue(Model memory m) private view returns (bool) {
        return m.announced != 0 && block.timestamp >= m.switchesAt;
    }

    function _holds(address code, bytes32 cidHash) private view returns (bool) {
        return code != address(0) && keccak256(bytes(code.cidOf())) == cidHash;
    }
}
