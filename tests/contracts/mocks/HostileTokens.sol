// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Tokens that break what the coordinator assumes of its token. All of them hand out to whoever asks.
abstract contract OpenHandedToken is ERC20("Hostile", "HOST") {
    function faucet(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps a hundredth of every transfer.
contract FeeToken is OpenHandedToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) ? 0 : value / 100;
        super._update(from, to, value - fee);
        if (fee != 0) super._update(from, address(this), fee);
    }
}

/// @dev Delivers more than was sent, as a rebase in the middle of a transfer would.
contract GenerousToken is OpenHandedToken {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0)) super._update(address(0), to, 1);
    }
}

/// @dev Says no by its return value, and moves nothing.
contract FalseToken is OpenHandedToken {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Lets nobody pay certain addresses.
contract BlacklistingToken is OpenHandedToken {
    error Blacklisted(address account);

    mapping(address account => bool) public isListed;

    function list(address account) external {
        isListed[account] = true;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!isListed[to], Blacklisted(to));
        super._update(from, to, value);
    }
}

/// @dev Calls somebody in the middle of every transfer and passes on what that says.
contract ReenteringToken is OpenHandedToken {
    address private _target;
    bytes private _call;

    function arm(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (_target == address(0)) return;
        (bool ok, bytes memory answer) = _target.call(_call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}
