// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {FeeToken, ReenteringToken} from "../mocks/HostileTokens.sol";
import {HostileTokenTest} from "../support/HostileTokenTest.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract StakeTest is NetworkTest {
    function test_stake__not_a_node__reverts() public {
        _give(mallory, 1 ether);
        vm.expectRevert(NotNode.selector);
        vm.prank(mallory);
        coordinator.stake(1 ether);
    }

    function test_stake__zero__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(nina);
        coordinator.stake(0);
    }

    function test_stake__more_than_128_bits__reverts() public {
        uint256 amount = uint256(1) << 128;
        _give(nina, amount);
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(nina);
        coordinator.stake(amount);
    }

    function testFuzz_stake__any_amount__adds_to_the_nodes_stake(uint256 amount) public {
        amount = bound(amount, 1, Settings.MAX_AMOUNT);
        _give(nina, amount);
        _expectEvent();
        emit Staked(nina, amount);
        vm.prank(nina);
        coordinator.stake(amount);

        assertEq(_node(nina).stake, STAKE + amount);
        assertEq(_node(nina).locked, 0);
        assertEq(_node(nina).cooling, 0);
        assertEq(token.balanceOf(nina), 0);
        assertEq(coordinator.credit(nina), 0);
        _assertSolvent();
    }

    function test_stake__part_of_a_token__backs_no_work_but_is_kept() public {
        _registerNode(nora, address(0));
        _stake(nora, Settings.UNIT);
        _join(nora, FLAT);
        vm.prank(nora);
        coordinator.requestUnstake(Settings.UNIT - 10 ether + 1); // a wei below ten flat jobs' lock
        assertFalse(coordinator.isEligible(nora, FLAT, FLAT_ESCROW));
        _stake(nora, 1);
        assertTrue(coordinator.isEligible(nora, FLAT, FLAT_ESCROW));
        assertEq(_node(nora).stake, 10 ether);
    }

    function test_stake__while_suspended__does_not_take_duty_again() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _take(noel, jobId);
        _stake(nina, 1 ether);
        assertEq(_node(nina).slots, 0);
        assertTrue(_node(nina).suspended);
    }
}

contract StakeOfHostileTokensTest is HostileTokenTest {
    function test_stake__fee_on_transfer__reverts() public {
        _deployWith(new FeeToken());
        _registerNode(mallory, address(0));
        vm.expectRevert(TransferMismatch.selector);
        vm.prank(mallory);
        coordinator.stake(1 ether);
    }

    function test_stake__token_reenters__reverts() public {
        ReenteringToken hostile = new ReenteringToken();
        _deployWith(hostile);
        _registerNode(mallory, address(0));
        hostile.arm(address(coordinator), abi.encodeCall(coordinator.withdrawStake, ()));
        vm.expectRevert(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector);
        vm.prank(mallory);
        coordinator.stake(1 ether);
        assertEq(_node(mallory).stake, 0);
    }
}
