// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";
import {Versions} from "./Versions.sol";

/// @title The bond behind a publisher's active model: taken from credit, back to credit a cool-down after it is inactive.
abstract contract PublisherBonds is Versions {
    struct Bond {
        address publisher;
        uint40 returnableFrom;
        bool held;
        uint256 amount;
    }

    // ---------------------------------------------------------------- storage
    mapping(bytes32 modelKey => Bond) private _bonds;

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc IInferenceCoordinator
    function returnBond(string calldata modelId) external {
        Bond storage b = _bonds[keccak256(bytes(modelId))];
        require(b.held && b.returnableFrom != 0, NoBond());
        require(block.timestamp >= b.returnableFrom, TooEarly(b.returnableFrom));
        (address publisher, uint256 amount) = (b.publisher, b.amount);
        (b.held, b.returnableFrom, b.amount) = (false, 0, 0);
        _credit(publisher, amount);
        emit PublisherBondReturned(modelId, publisher, amount);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function bondOf(string calldata modelId)
        external
        view
        returns (address publisher, uint256 amount, uint256 returnableFrom)
    {
        Bond memory b = _bonds[keccak256(bytes(modelId))];
        return (b.publisher, b.amount, b.returnableFrom);
    }

    // ---------------------------------------------------------------- internal
    /// @dev A later version of the same model stands on the bond of the first.
    function _onAnnounced(string calldata modelId, bytes32 key, address publisher) internal override {
        if (publisher == address(0) || _bonds[key].publisher != address(0)) return;
        _bonds[key].publisher = publisher;
        _takeBond(modelId, key, publisher);
    }

    function _onActivity(string calldata modelId, bytes32 key, bool active) internal override {
        Bond storage b = _bonds[key];
        if (b.publisher == address(0)) return;
        if (!active) {
            if (b.held && b.returnableFrom == 0) b.returnableFrom = uint40(block.timestamp + _COOL_DOWN_SECONDS);
        } else if (b.held) {
            b.returnableFrom = 0;
        } else {
            _takeBond(modelId, key, b.publisher);
        }
    }

    function _takeBond(string calldata modelId, bytes32 key, address publisher) private {
        uint256 amount = publisherBond();
        _debit(publisher, amount);
        (_bonds[key].held, _bonds[key].amount) = (true, amount);
        emit PublisherBondTaken(modelId, publisher, amount);
    }
}
