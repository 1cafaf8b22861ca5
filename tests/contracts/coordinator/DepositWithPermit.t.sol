// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Signing} from "../support/Signing.sol";

contract DepositWithPermitTest is Signing {
    function test_depositWithPermit__zero__reverts() public {
        Signature memory sig = _permit(0, type(uint256).max);
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(sam);
        coordinator.depositWithPermit(0, type(uint256).max, sig.v, sig.r, sig.s);
    }

    function test_depositWithPermit__expired_and_no_allowance__reverts() public {
        uint256 deadline = vm.getBlockTimestamp() - 1;
        Signature memory sig = _permit(1 ether, deadline);
        _expectNoAllowance();
        vm.prank(sam);
        coordinator.depositWithPermit(1 ether, deadline, sig.v, sig.r, sig.s);
    }

    function test_depositWithPermit__permit_of_another__reverts() public {
        Signature memory sig = _permit(1 ether, type(uint256).max);
        token.faucet(mallory, 1 ether);
        _expectNoAllowance();
        vm.prank(mallory);
        coordinator.depositWithPermit(1 ether, type(uint256).max, sig.v, sig.r, sig.s);
    }

    function test_depositWithPermit__signed__becomes_credit() public {
        uint256 deadline = vm.getBlockTimestamp();
        Signature memory sig = _permit(1 ether, deadline);

        _expectEvent();
        emit Deposited(sam, 1 ether);
        vm.prank(sam);
        coordinator.depositWithPermit(1 ether, deadline, sig.v, sig.r, sig.s);

        assertEq(coordinator.credit(sam), 1 ether);
        assertEq(token.balanceOf(sam), CREDIT - 1 ether);
        assertEq(token.nonces(sam), 1);
        assertEq(token.allowance(sam, address(coordinator)), 0);
    }

    function test_depositWithPermit__permit_was_front_run__becomes_credit() public {
        Signature memory sig = _permit(1 ether, type(uint256).max);
        vm.prank(mallory);
        token.permit(sam, address(coordinator), 1 ether, type(uint256).max, sig.v, sig.r, sig.s);

        vm.prank(sam);
        coordinator.depositWithPermit(1 ether, type(uint256).max, sig.v, sig.r, sig.s);

        assertEq(coordinator.credit(sam), 1 ether);
    }

    function _expectNoAllowance() private {
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(coordinator), 0, 1 ether)
        );
    }
}
