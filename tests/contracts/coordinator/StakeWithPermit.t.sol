// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Signing} from "../support/Signing.sol";

contract StakeWithPermitTest is Signing {
    function test_stakeWithPermit__not_a_node__reverts() public {
        Signature memory sig = _permit(1 ether, type(uint256).max);
        vm.expectRevert(NotNode.selector);
        vm.prank(sam);
        coordinator.stakeWithPermit(1 ether, type(uint256).max, sig.v, sig.r, sig.s);
        assertEq(token.allowance(sam, address(coordinator)), 0, "the permit is undone with the rest");
    }

    function test_stakeWithPermit__wrong_amount_signed__reverts() public {
        _registerNode(sam, address(0));
        Signature memory sig = _permit(1 ether, type(uint256).max);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(coordinator), 0, 2 ether)
        );
        vm.prank(sam);
        coordinator.stakeWithPermit(2 ether, type(uint256).max, sig.v, sig.r, sig.s);
    }

    function test_stakeWithPermit__signed__stakes() public {
        _registerNode(sam, address(0));
        Signature memory sig = _permit(1 ether, type(uint256).max);
        _expectEvent();
        emit Staked(sam, 1 ether);
        vm.prank(sam);
        coordinator.stakeWithPermit(1 ether, type(uint256).max, sig.v, sig.r, sig.s);

        assertEq(_node(sam).stake, 1 ether);
        assertEq(token.balanceOf(sam), CREDIT - 1 ether);
        _assertSolvent();
    }

    function test_stakeWithPermit__permit_was_front_run__stakes() public {
        _registerNode(sam, address(0));
        Signature memory sig = _permit(1 ether, type(uint256).max);
        token.permit(sam, address(coordinator), 1 ether, type(uint256).max, sig.v, sig.r, sig.s);
        vm.prank(sam);
        coordinator.stakeWithPermit(1 ether, type(uint256).max, sig.v, sig.r, sig.s);
        assertEq(_node(sam).stake, 1 ether);
    }
}
