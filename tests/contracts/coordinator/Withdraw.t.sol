// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BlacklistingToken, ReenteringToken} from "../mocks/HostileTokens.sol";
import {HostileTokenTest} from "../support/HostileTokenTest.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev withdraw and withdrawTo differ in the receiver only.
contract WithdrawTest is NetworkTest {
    function test_withdraw__zero__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(alice);
        coordinator.withdraw(0);
    }

    function test_withdraw__more_than_credit__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(InsufficientCredit.selector, CREDIT, CREDIT + 1));
        vm.prank(alice);
        coordinator.withdraw(CREDIT + 1);
    }

    function test_withdraw__escrow__is_out_of_reach() public {
        _openJob();
        vm.expectRevert(abi.encodeWithSelector(InsufficientCredit.selector, CREDIT - USAGE_ESCROW, CREDIT));
        vm.prank(alice);
        coordinator.withdraw(CREDIT);
    }

    function test_withdrawTo__zero_amount__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(alice);
        coordinator.withdrawTo(bob, 0);
    }

    function test_withdrawTo__nobody__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        vm.prank(alice);
        coordinator.withdrawTo(address(0), 1);
    }

    function test_withdrawTo__the_coordinator_itself__reverts() public {
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(alice);
        coordinator.withdrawTo(address(coordinator), 1);
    }

    function testFuzz_withdraw__up_to_all__pays_the_owner(uint256 amount) public {
        amount = bound(amount, 1, CREDIT);
        _expectEvent();
        emit Withdrawn(alice, alice, amount);
        vm.prank(alice);
        coordinator.withdraw(amount);

        assertEq(coordinator.credit(alice), CREDIT - amount);
        assertEq(token.balanceOf(alice), amount);
        assertEq(coordinator.credit(bob), CREDIT);
        _assertSolvent();
    }

    function test_withdrawTo__another__pays_that_address() public {
        _expectEvent();
        emit Withdrawn(alice, mallory, 7);
        vm.prank(alice);
        coordinator.withdrawTo(mallory, 7);

        assertEq(coordinator.credit(alice), CREDIT - 7);
        assertEq(token.balanceOf(mallory), 7);
        assertEq(token.balanceOf(alice), 0);
        assertEq(coordinator.credit(mallory), 0);
        _assertSolvent();
    }
}

contract WithdrawOfHostileTokensTest is HostileTokenTest {
    function test_withdraw__blacklisted__hurts_only_that_account() public {
        BlacklistingToken hostile = new BlacklistingToken();
        _deployWith(hostile);
        _fund(mallory, 1 ether);
        _fund(alice, 1 ether);
        hostile.list(mallory);

        vm.expectRevert(abi.encodeWithSelector(BlacklistingToken.Blacklisted.selector, mallory));
        vm.prank(mallory);
        coordinator.withdraw(1 ether);
        assertEq(coordinator.credit(mallory), 1 ether);

        vm.prank(alice);
        coordinator.withdraw(1 ether);
        assertEq(token.balanceOf(alice), 1 ether);

        vm.prank(mallory);
        coordinator.withdrawTo(bob, 1 ether);
        assertEq(token.balanceOf(bob), 1 ether);
    }

    function test_withdraw__token_reenters__reverts_and_keeps_credit() public {
        ReenteringToken hostile = new ReenteringToken();
        _deployWith(hostile);
        _fund(mallory, 2 ether);
        hostile.arm(address(coordinator), abi.encodeCall(coordinator.withdraw, (1 ether)));

        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.prank(mallory);
        coordinator.withdraw(1 ether);

        assertEq(coordinator.credit(mallory), 2 ether);
        assertEq(token.balanceOf(address(coordinator)), 2 ether);
    }
}
