// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {INetworkToken} from "../../../contracts/interfaces/INetworkToken.sol";
import {Signing} from "../support/Signing.sol";

/// @dev EIP-3009. transferWithAuthorization and receiveWithAuthorization share every rule but the one about who may call.
contract AuthorizationsTest is Signing {
    bytes32 private constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    bytes32 private constant NONCE = keccak256("nonce");
    uint256 private constant VALUE = 3 ether;

    uint256 private from;
    uint256 private before;

    function setUp() public override {
        super.setUp();
        (from, before) = (vm.getBlockTimestamp() - 10, vm.getBlockTimestamp() + 10);
    }

    // ---------------------------------------------------------------- refusals
    function test_authorization__outside_of_its_time__reverts() public {
        vm.warp(from);
        _bothRefuse(abi.encodeWithSelector(INetworkToken.AuthorizationNotYetValid.selector, from));
        vm.warp(before);
        _bothRefuse(abi.encodeWithSelector(INetworkToken.AuthorizationExpired.selector, before));
    }

    function test_authorization__first_and_last_second__are_accepted() public {
        uint256 state = vm.snapshotState();
        vm.warp(from + 1);
        _transfer(bob, _sign(TRANSFER, bob));
        vm.revertToState(state);
        vm.warp(before - 1);
        _transfer(bob, _sign(TRANSFER, bob));
        assertEq(token.balanceOf(bob), VALUE);
    }

    function test_authorization__of_another_kind__reverts() public {
        (Signature memory transfer, Signature memory receive_) = (_sign(TRANSFER, bob), _sign(RECEIVE, bob));
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        _transfer(bob, receive_);
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        _receive(bob, transfer);
    }

    function test_authorization__another_payee__reverts() public {
        Signature memory sig = _sign(TRANSFER, bob);
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        _transfer(mallory, sig);
    }

    function test_authorization__another_signer__reverts() public {
        (, samKey) = makeAddrAndKey("forger");
        _bothRefuse(abi.encodePacked(INetworkToken.InvalidAuthorization.selector));
    }

    /// @dev The other signature of the same key, which the curve's symmetry gives away.
    function test_authorization__mirrored_signature__reverts() public {
        Signature memory sig = _sign(TRANSFER, bob);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        (sig.v, sig.s) = (sig.v == 27 ? 28 : 27, bytes32(order - uint256(sig.s)));
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        _transfer(bob, sig);
    }

    function test_authorization__garbage__is_not_the_zero_addresss_word() public {
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        token.transferWithAuthorization(address(0), bob, 0, from, before, NONCE, 0, 0, 0);
    }

    function test_authorization__on_another_chain__reverts() public {
        Signature memory sig = _sign(TRANSFER, bob);
        vm.chainId(1);
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        _transfer(bob, sig);
    }

    function test_authorization__twice__reverts() public {
        Signature memory sig = _sign(TRANSFER, bob);
        _transfer(bob, sig);
        vm.expectRevert(abi.encodeWithSelector(INetworkToken.AuthorizationReused.selector, NONCE));
        _transfer(bob, sig);
        sig = _sign(RECEIVE, bob);
        vm.expectRevert(abi.encodeWithSelector(INetworkToken.AuthorizationReused.selector, NONCE));
        _receive(bob, sig);
    }

    function test_authorization__short_of_tokens__reverts_and_stays_usable() public {
        vm.prank(sam);
        token.transfer(alice, CREDIT);
        Signature memory sig = _sign(TRANSFER, bob);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, sam, 0, VALUE));
        _transfer(bob, sig);
        assertFalse(token.authorizationState(sam, NONCE));
    }

    function test_receiveWithAuthorization__by_another__reverts() public {
        Signature memory sig = _sign(RECEIVE, bob);
        vm.expectRevert(INetworkToken.CallerIsNotPayee.selector);
        vm.prank(mallory);
        token.receiveWithAuthorization(sam, bob, VALUE, from, before, NONCE, sig.v, sig.r, sig.s);
    }

    function test_cancelAuthorization__signed_by_another__reverts() public {
        (, samKey) = makeAddrAndKey("forger");
        Signature memory sig = _signed(keccak256(abi.encode(CANCEL, sam, NONCE)));
        vm.expectRevert(INetworkToken.InvalidAuthorization.selector);
        token.cancelAuthorization(sam, NONCE, sig.v, sig.r, sig.s);
    }

    function test_cancelAuthorization__used_or_cancelled__reverts() public {
        Signature memory sig = _signed(keccak256(abi.encode(CANCEL, sam, NONCE)));
        token.cancelAuthorization(sam, NONCE, sig.v, sig.r, sig.s);
        vm.expectRevert(abi.encodeWithSelector(INetworkToken.AuthorizationReused.selector, NONCE));
        token.cancelAuthorization(sam, NONCE, sig.v, sig.r, sig.s);
    }

    // ---------------------------------------------------------------- post-state
    function test_transferWithAuthorization__signed__moves_by_anyones_call() public {
        Signature memory sig = _sign(TRANSFER, bob);
        vm.expectEmit(address(token));
        emit INetworkToken.AuthorizationUsed(sam, NONCE);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(sam, bob, VALUE);
        vm.prank(mallory);
        token.transferWithAuthorization(sam, bob, VALUE, from, before, NONCE, sig.v, sig.r, sig.s);
        _assertMoved();
    }

    function test_receiveWithAuthorization__by_the_payee__moves() public {
        Signature memory sig = _sign(RECEIVE, bob);
        vm.expectEmit(address(token));
        emit INetworkToken.AuthorizationUsed(sam, NONCE);
        _receive(bob, sig);
        _assertMoved();
    }

    function test_cancelAuthorization__signed__blocks_the_nonce() public {
        Signature memory sig = _signed(keccak256(abi.encode(CANCEL, sam, NONCE)));
        vm.expectEmit(address(token));
        emit INetworkToken.AuthorizationCanceled(sam, NONCE);
        token.cancelAuthorization(sam, NONCE, sig.v, sig.r, sig.s);
        assertTrue(token.authorizationState(sam, NONCE));
        _bothRefuse(abi.encodeWithSelector(INetworkToken.AuthorizationReused.selector, NONCE));
        assertEq(token.balanceOf(sam), CREDIT);
    }

    // ---------------------------------------------------------------- helpers
    function _assertMoved() private view {
        assertEq(token.balanceOf(sam), CREDIT - VALUE);
        assertEq(token.balanceOf(bob), VALUE);
        assertTrue(token.authorizationState(sam, NONCE));
        assertFalse(token.authorizationState(bob, NONCE));
        assertEq(token.nonces(sam), 0, "permits count on their own");
    }

    function _bothRefuse(bytes memory reason) private {
        Signature memory sig = _sign(TRANSFER, bob);
        vm.expectRevert(reason);
        _transfer(bob, sig);
        sig = _sign(RECEIVE, bob);
        vm.expectRevert(reason);
        _receive(bob, sig);
    }

    function _transfer(address to, Signature memory sig) private {
        token.transferWithAuthorization(sam, to, VALUE, from, before, NONCE, sig.v, sig.r, sig.s);
    }

    function _receive(address to, Signature memory sig) private {
        vm.prank(to);
        token.receiveWithAuthorization(sam, to, VALUE, from, before, NONCE, sig.v, sig.r, sig.s);
    }

    function _sign(bytes32 kind, address to) private view returns (Signature memory) {
        return _signed(keccak256(abi.encode(kind, sam, to, VALUE, from, before, NONCE)));
    }
}
