// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICoordinatorEvents} from "../interfaces/ICoordinatorEvents.sol";

/// @title Credit, and the only place where tokens enter and leave.
/// @dev Every function that calls the token holds the guard; all others only move numbers.
abstract contract Ledger is ICoordinatorEvents, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev One word. The nonce is kept for requests relayed under a signature.
    struct Account {
        uint128 credit;
        uint24 node;
        uint64 nonce;
    }

    // ---------------------------------------------------------------- immutables
    IERC20 internal immutable _TOKEN;

    // ---------------------------------------------------------------- storage
    mapping(address owner => Account) internal _accounts;

    // ---------------------------------------------------------------- constructor
    constructor(address token_) {
        require(token_.code.length != 0, OutOfBounds());
        _TOKEN = IERC20(token_);
    }

    // ---------------------------------------------------------------- internal
    /// @dev The total of all credit is bounded by the token's supply, far below 128 bits; a token that breaks this fails here.
    function _credit(address account, uint256 amount) internal {
        uint256 sum = _accounts[account].credit + amount;
        require(sum <= type(uint128).max, OutOfBounds());
        _accounts[account].credit = uint128(sum);
    }

    function _debit(address account, uint256 amount) internal {
        uint256 available = _accounts[account].credit;
        require(available >= amount, InsufficientCredit(available, amount));
        unchecked {
            _accounts[account].credit = uint128(available - amount); // not more than it was
        }
    }

    /// @dev Ignores failure: whoever saw the signature may have used it first, which leaves the allowance just the same.
    function _tryPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) internal {
        try IERC20Permit(address(_TOKEN)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
    }

    /// @dev Reverts unless exactly `amount` arrives.
    function _pull(uint256 amount) internal {
        require(amount != 0, AmountIsZero());
        uint256 before = _TOKEN.balanceOf(address(this));
        _TOKEN.safeTransferFrom(msg.sender, address(this), amount);
        require(_TOKEN.balanceOf(address(this)) == before + amount, TransferMismatch());
    }

    function _push(address to, uint256 amount) internal {
        _TOKEN.safeTransfer(to, amount);
    }
}
