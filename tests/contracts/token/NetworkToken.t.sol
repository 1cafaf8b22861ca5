// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {INetworkToken} from "../../../contracts/interfaces/INetworkToken.sol";
import {Settings} from "../support/Settings.sol";
import {Signing} from "../support/Signing.sol";

/// @dev Birth, faucet and permit. ERC-20 itself is OpenZeppelin's.
contract NetworkTokenTest is Signing {
    // ---------------------------------------------------------------- birth
    function test_constructor__supply__goes_to_the_deployer() public {
        IERC20 fresh = IERC20(vm.deployCode("NetworkToken.sol:NetworkToken", abi.encode(Settings.SUPPLY)));
        assertEq(fresh.totalSupply(), Settings.SUPPLY);
        assertEq(fresh.balanceOf(address(this)), Settings.SUPPLY);
        assertEq(IERC20Metadata(address(fresh)).name(), "Neuro");
        assertEq(IERC20Metadata(address(fresh)).symbol(), "NEURO");
        assertEq(IERC20Metadata(address(fresh)).decimals(), 18);
    }

    // ---------------------------------------------------------------- faucet
    function testFuzz_faucet__any_other_chain__reverts(uint64 chain) public {
        vm.assume(chain != 31_337 && chain != 1_337 && chain != 0);
        vm.chainId(chain);
        vm.expectRevert(INetworkToken.NotALocalChain.selector);
        token.faucet(mallory, 1);
    }

    function test_faucet__local_chains__mints() public {
        uint256 supply = token.totalSupply();
        token.faucet(mallory, 1 ether);
        vm.chainId(1_337);
        vm.prank(mallory);
        token.faucet(mallory, 2 ether);
        assertEq(token.balanceOf(mallory), 3 ether);
        assertEq(token.totalSupply(), supply + 3 ether);
    }

    // ---------------------------------------------------------------- permit
    function test_permit__last_second__is_the_deadline() public {
        uint256 deadline = vm.getBlockTimestamp() + 10;
        Signature memory sig = _permitTo(bob, 5, deadline);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(ERC20Permit.ERC2612ExpiredSignature.selector, deadline));
        token.permit(sam, bob, 5, deadline, sig.v, sig.r, sig.s);

        vm.warp(deadline);
        vm.expectEmit(address(token));
        emit IERC20.Approval(sam, bob, 5);
        token.permit(sam, bob, 5, deadline, sig.v, sig.r, sig.s);
        assertEq(token.allowance(sam, bob), 5);
        assertEq(token.nonces(sam), 1);
    }

    function test_permit__twice__reverts() public {
        Signature memory sig = _permitTo(bob, 5, type(uint256).max);
        token.permit(sam, bob, 5, type(uint256).max, sig.v, sig.r, sig.s);
        vm.expectPartialRevert(ERC20Permit.ERC2612InvalidSigner.selector);
        token.permit(sam, bob, 5, type(uint256).max, sig.v, sig.r, sig.s);
    }

    function test_permit__on_another_chain__reverts() public {
        Signature memory sig = _permitTo(bob, 5, type(uint256).max);
        vm.chainId(1);
        vm.expectPartialRevert(ERC20Permit.ERC2612InvalidSigner.selector);
        token.permit(sam, bob, 5, type(uint256).max, sig.v, sig.r, sig.s);
    }
}
