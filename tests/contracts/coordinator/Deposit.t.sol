// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {NetworkTest} from "./support/NetworkTest.sol";
import {Settings} from "./support/Settings.sol";

contract DepositTest is NetworkTest {
    function test_deposit__zero__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(alice);
        coordinator.deposit(0);
    }

    function test_deposit__no_allowance__reverts() public {
        token.faucet(mallory, 1 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(coordinator), 0, 1 ether)
        );
        vm.prank(mallory);
        coordinator.deposit(1 ether);
    }

    function testFuzz_deposit__any_amount__becomes_credit(uint256 amount) public {
        amount = bound(amount, 1, Settings.MAX_AMOUNT);
        _give(mallory, amount);
        uint256 held = token.balanceOf(address(coordinator));

        _expectEvent();
        emit Deposited(mallory, amount);
        vm.prank(mallory);
        coordinator.deposit(amount);

        assertEq(coordinator.credit(mallory), amount);
        assertEq(token.balanceOf(mallory), 0);
        assertEq(token.balanceOf(address(coordinator)), held + amount);
        _assertSolvent();
    }

    function test_deposit__twice__adds_up() public {
        _fund(alice, 3 ether);
        assertEq(coordinator.credit(alice), CREDIT + 3 ether);
    }
}
