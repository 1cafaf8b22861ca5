// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "./NetworkTest.sol";

/// @title An actor with a key, and what it signs.
abstract contract Signing is NetworkTest {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    struct Signature {
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    address internal sam;
    uint256 internal samKey;

    function setUp() public virtual override {
        super.setUp();
        (sam, samKey) = makeAddrAndKey("sam");
        token.faucet(sam, CREDIT);
    }

    /// @dev Sam lets the coordinator spend.
    function _permit(uint256 amount, uint256 deadline) internal view returns (Signature memory) {
        return _permitTo(address(coordinator), amount, deadline);
    }

    function _permitTo(address spender, uint256 amount, uint256 deadline) internal view returns (Signature memory) {
        return _signed(keccak256(abi.encode(PERMIT_TYPEHASH, sam, spender, amount, token.nonces(sam), deadline)));
    }

    function _signed(bytes32 content) internal view returns (Signature memory sig) {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), content));
        (sig.v, sig.r, sig.s) = vm.sign(samKey, digest);
    }
}
