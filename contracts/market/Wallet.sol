// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {JobBook} from "../state/JobBook.sol";

/// @title The doors of the ledger, and several calls in one.
abstract contract Wallet is JobBook, IJobMarket {
    // ---------------------------------------------------------------- users
    /// @inheritdoc IJobMarket
    function deposit(uint256 amount) external nonReentrant {
        _deposit(amount);
    }

    /// @inheritdoc IJobMarket
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        _tryPermit(amount, deadline, v, r, s);
        _deposit(amount);
    }

    /// @inheritdoc IJobMarket
    function withdraw(uint256 amount) external nonReentrant {
        _withdraw(msg.sender, amount);
    }

    /// @inheritdoc IJobMarket
    function withdrawTo(address to, uint256 amount) external nonReentrant {
        _withdraw(to, amount);
    }

    /// @inheritdoc IJobMarket
    function multicall(bytes[] calldata data) external returns (bytes[] memory results) {
        results = new bytes[](data.length);
        for (uint256 i; i < data.length; ++i) {
            require(bytes4(data[i]) != IJobMarket.multicall.selector, NestedMulticall());
            bool ok;
            // To itself, on behalf of the same caller.
            // solhint-disable-next-line avoid-low-level-calls
            (ok, results[i]) = address(this).delegatecall(data[i]);
            if (!ok) LowLevelCall.bubbleRevert(results[i]);
        }
    }

    // ---------------------------------------------------------------- internal
    function _deposit(uint256 amount) private {
        _credit(msg.sender, amount);
        emit Deposited(msg.sender, amount);
        _pull(amount);
    }

    /// @dev To itself would leave the tokens with nobody.
    function _withdraw(address to, uint256 amount) private {
        require(amount != 0, AmountIsZero());
        require(to != address(this), OutOfBounds());
        _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        _push(to, amount);
    }
}
