// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {INetworkToken} from "./interfaces/INetworkToken.sol";

/// @title NEURO: stake and payment of the network.
contract NetworkToken is ERC20, ERC20Permit, INetworkToken {
    // ---------------------------------------------------------------- constants
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    uint256 private constant ANVIL_CHAIN_ID = 31337;
    uint256 private constant DEV_CHAIN_ID = 1337;

    // ---------------------------------------------------------------- storage
    mapping(address authorizer => mapping(bytes32 nonce => bool)) private _used;

    // ---------------------------------------------------------------- constructor
    constructor(uint256 supply) ERC20("Neuro", "NEURO") ERC20Permit("Neuro") {
        _mint(msg.sender, supply);
    }

    // ---------------------------------------------------------------- EIP-3009
    /// @inheritdoc INetworkToken
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _requireTimely(validAfter, validBefore);
        bytes32 content = keccak256(abi.encode(TRANSFER_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _use(from, nonce, content, v, r, s);
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    /// @inheritdoc INetworkToken
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        require(to == msg.sender, CallerIsNotPayee());
        _requireTimely(validAfter, validBefore);
        bytes32 content = keccak256(abi.encode(RECEIVE_TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        _use(from, nonce, content, v, r, s);
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    /// @inheritdoc INetworkToken
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external {
        _use(authorizer, nonce, keccak256(abi.encode(CANCEL_TYPEHASH, authorizer, nonce)), v, r, s);
        emit AuthorizationCanceled(authorizer, nonce);
    }

    // ---------------------------------------------------------------- local chains
    /// @inheritdoc INetworkToken
    function faucet(address to, uint256 amount) external {
        require(block.chainid == ANVIL_CHAIN_ID || block.chainid == DEV_CHAIN_ID, NotALocalChain());
        _mint(to, amount);
    }

    // ---------------------------------------------------------------- views
    /// @inheritdoc INetworkToken
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool) {
        return _used[authorizer][nonce];
    }

    // ---------------------------------------------------------------- internal
    /// @dev Both ends are outside of the valid time, as EIP-3009 says.
    function _requireTimely(uint256 validAfter, uint256 validBefore) private view {
        require(block.timestamp > validAfter, AuthorizationNotYetValid(validAfter));
        require(block.timestamp < validBefore, AuthorizationExpired(validBefore));
    }

    function _use(address authorizer, bytes32 nonce, bytes32 content, uint8 v, bytes32 r, bytes32 s) private {
        require(!_used[authorizer][nonce], AuthorizationReused(nonce));
        (address signer, ECDSA.RecoverError error,) = ECDSA.tryRecover(_hashTypedDataV4(content), v, r, s);
        require(error == ECDSA.RecoverError.NoError && signer == authorizer, InvalidAuthorization());
        _used[authorizer][nonce] = true;
    }
}
