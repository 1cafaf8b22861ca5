// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IInferenceCoordinator} from "../interfaces/IInferenceCoordinator.sol";

/// @title Credit, and the only place where tokens enter and leave.
/// @dev Every function that calls the token holds the guard; all others only move numbers.
abstract contract Ledger is IInferenceCoordinator, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev One word. The nonce is kept for requests relayed under a signature.
    struct Account {
        uint128 credit;
        uint24 node;
        uint64 nonce;
    }

    // ---------------------------------------------------------------- immutables
    IERC20 private immutable _TOKEN;

    // ---------------------------------------------------------------- storage
    mapping(address owner => Account) internal _accounts;

    // ---------------------------------------------------------------- constructor
    constructor(address token_) {
        require(token_.code.length != 0, OutOfBounds());
        _TOKEN = IERC20(token_);
    }

    // ---------------------------------------------------------------- users
    /// @inheritdoc IInferenceCoordinator
    function deposit(uint256 amount) external nonReentrant {
        _deposit(amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external nonReentrant {
        _tryPermit(amount, deadline, v, r, s);
        _deposit(amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function withdraw(uint256 amount) external nonReentrant {
        _withdraw(msg.sender, amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function withdrawTo(address to, uint256 amount) external nonReentrant {
        _withdraw(to, amount);
    }

    /// @inheritdoc IInferenceCoordinator
    function multicall(bytes[] calldata data) external returns (bytes[] memory results) {
        results = new bytes[](data.length);
        for (uint256 i; i < data.length; ++i) {
            require(bytes4(data[i]) != IInferenceCoordinator.multicall.selector, NestedMulticall());
            results[i] = Address.functionDelegateCall(address(this), data[i]);
        }
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc IInferenceCoordinator
    function token() external view returns (address) {
        return address(_TOKEN);
    }

    /// @inheritdoc IInferenceCoordinator
    function credit(address account) external view returns (uint256) {
        return _accounts[account].credit;
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

    function _deposit(uint256 amount) private {
        _credit(msg.sender, amount);
        emit Deposited(msg.sender, amount);
        _pull(amount);
    }

    function _withdraw(address to, uint256 amount) private {
        require(amount != 0, AmountIsZero());
        _debit(msg.sender, amount);
        emit Withdrawn(msg.sender, to, amount);
        _push(to, amount);
    }
}
