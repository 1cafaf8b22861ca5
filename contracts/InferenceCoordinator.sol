// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig} from "./interfaces/InferenceTypes.sol";
import {IJobMarket} from "./interfaces/IJobMarket.sol";
import {MarketViews} from "./market/MarketViews.sol";
import {CoordinatorOffice} from "./office/CoordinatorOffice.sol";
import {JobBook} from "./state/JobBook.sol";

/// @title The market of jobs. IInferenceCoordinator is the specification of what answers at this address.
/// @dev state/ is the storage, market/ the half that jobs run through, office/ the other half. Wallet ← Requests ← Duties
/// ← MarketViews, and Governance ← PublisherBonds ← Announcements ← StakeDesk ← EntryDesk ← NetworkViews.
contract InferenceCoordinator is MarketViews {
    address private immutable _OFFICE;

    constructor(CoordinatorConfig memory c) JobBook(c) {
        _OFFICE = address(new CoordinatorOffice(c));
        _setTreasury(c.treasury);
        _setBond(c.publisherBond);
        _pushFeeRate(0, c.feeBps);
    }

    /// @dev Whatever the market does not know, the office's code answers on this contract's storage.
    /// There is no simpler way to hand a call on.
    // solhint-disable-next-line no-complex-fallback
    fallback() external {
        address office_ = _OFFICE;
        assembly ("memory-safe") {
            // Nothing of Solidity runs after this, so memory is free from 0 on.
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), office_, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch ok
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }

    /// @inheritdoc IJobMarket
    function office() external view returns (address) {
        return _OFFICE;
    }
}
