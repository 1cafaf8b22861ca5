// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Terms} from "../interfaces/InferenceTypes.sol";
import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {VersionCode} from "../libraries/VersionCode.sol";
import {PublisherBonds} from "./PublisherBonds.sol";

/// @title What the model registry pushes: new versions, and whether a model takes new jobs.
abstract contract Announcements is PublisherBonds {
    modifier onlyModelRegistry() {
        require(msg.sender == _MODEL_REGISTRY, NotRegistry());
        _;
    }

    // ---------------------------------------------------------------- pushed by the registry
    /// @inheritdoc ICoordinatorOffice
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

    /// @inheritdoc ICoordinatorOffice
    function onModelActive(string calldata modelId, bool active) external onlyModelRegistry {
        bytes32 key = keccak256(bytes(modelId));
        require(_models[key].current != 0, UnknownModel());
        _models[key].active = active;
        _onActivity(modelId, key, active);
    }

    // ---------------------------------------------------------------- internal
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
        if (_isSwitchDue(m)) _promote(m);
        bool isHeld = _holds(m.code, cidHash) || _holds(_facts[m.announced].code, cidHash);
        require(!isHeld, CIDTaken());
        _modelOfCID[cidHash] = key;
    }
}
