// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title EIP-3009 and the local faucet of the network token, beside ERC-20 and EIP-2612.
/// @notice TRUST. The whole supply is minted at deployment, to the deployer; nobody can mint, burn or freeze afterwards,
/// except that on a local chain (chain id 31337 or 1337) anyone may draw test tokens from the faucet.
interface INetworkToken {
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    error AuthorizationNotYetValid(uint256 validAfter);
    error AuthorizationExpired(uint256 validBefore);
    error AuthorizationReused(bytes32 nonce);
    error InvalidAuthorization();
    error CallerIsNotPayee();
    error NotALocalChain();

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
    ) external;
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
    ) external;
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);
    function faucet(address to, uint256 amount) external;
}
