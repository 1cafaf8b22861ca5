// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {Governance} from "./Governance.sol";

/// @title The bond behind a publisher's active model: taken from credit, back to credit a cool-down after it is inactive.
abstract contract PublisherBonds is Governance {
    // ---------------------------------------------------------------- anyone
    /// @inheritdoc ICoordinatorOffice
    function returnBond(string calldata modelId) external {
        Bond storage b = _bonds[keccak256(bytes(modelId))];
        require(b.held && b.returnableFrom != 0, NoBond());
        require(block.timestamp >= b.returnableFrom, TooEarly(b.returnableFrom));
        (address publisher, uint256 amount) = (b.publisher, b.amount);
        (b.held, b.returnableFrom, b.amount) = (false, 0, 0);
        _credit(publisher, amount);
        emit PublisherBondReturned(modelId, publisher, amount);
    }

    // ---------------------------------------------------------------- internal
    /// @dev A later version of the same model stands on the bond of the first.
    function _onAnnounced(string calldata modelId, bytes32 key, address publisher) internal {
        if (publisher == address(0) || _bonds[key].publisher != address(0)) return;
        _bonds[key].publisher = publisher;
        _takeBond(modelId, key, publisher);
    }

    function _onActivity(string calldata modelId, bytes32 key, bool active) internal {
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
        uint256 amount = _bond;
        _debit(publisher, amount);
        (_bonds[key].held, _bonds[key].amount) = (true, amount);
        emit PublisherBondTaken(modelId, publisher, amount);
    }
}
