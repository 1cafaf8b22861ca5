// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../interfaces/ICoordinatorOffice.sol";
import {JobBook} from "../state/JobBook.sol";

/// @title All the owner can do to a coordinator.
abstract contract Governance is JobBook, ICoordinatorOffice {
    /// A new rate is known for at least one whole epoch before it applies.
    uint256 private constant FEE_NOTICE_EPOCHS = 2;

    // ---------------------------------------------------------------- owner
    /// @inheritdoc ICoordinatorOffice
    function scheduleFeeRate(uint16 feeBps) external onlyOwner {
        _pushFeeRate(_epoch() + FEE_NOTICE_EPOCHS, feeBps);
    }

    /// @inheritdoc ICoordinatorOffice
    function setTreasury(address treasury_) external onlyOwner {
        _setTreasury(treasury_);
    }

    /// @inheritdoc ICoordinatorOffice
    function setPublisherBond(uint256 bond) external onlyOwner {
        _setBond(bond);
    }

    /// @inheritdoc ICoordinatorOffice
    function setNewWorkPaused(bool paused) external onlyOwner {
        _counters.paused = paused;
        emit NewWorkPaused(paused);
    }

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc ICoordinatorOffice
    function collectFees() external nonReentrant {
        uint256 amount = _fees;
        require(amount != 0, AmountIsZero());
        _fees = 0;
        address to = _treasury;
        emit FeesCollected(to, amount);
        _push(to, amount);
    }
}
