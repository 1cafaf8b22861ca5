// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract WithdrawStakeTest is NetworkTest {
    function test_withdrawStake__not_a_node__reverts() public {
        _refuses(mallory, abi.encodePacked(NotNode.selector));
    }

    function test_withdrawStake__nothing_cools__reverts() public {
        _refuses(nina, abi.encodePacked(AmountIsZero.selector));
    }

    function test_withdrawStake__still_cooling__reverts() public {
        _request(1 ether);
        _refuses(nina, abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + Settings.COOL_DOWN));
    }

    function test_withdrawStake__cooled_down__pays_the_operator() public {
        _request(5 ether);
        skip(Settings.COOL_DOWN);
        _expectEvent();
        emit StakeWithdrawn(nina, 5 ether);
        vm.prank(nina);
        coordinator.withdrawStake();

        assertEq(token.balanceOf(nina), 5 ether);
        assertEq(_node(nina).cooling, 0);
        assertEq(_node(nina).stake, STAKE - 5 ether);
        _assertSolvent();
        _refuses(nina, abi.encodePacked(AmountIsZero.selector));
    }

    function test_withdrawStake__no_show_meanwhile__pays_what_the_active_stake_left() public {
        uint256 jobId = _leasedJob();
        _request(STAKE - 10 * USAGE_ESCROW);
        skip(Settings.COOL_DOWN);
        vm.prank(mallory);
        coordinator.expireJob(jobId);
        vm.prank(nina);
        coordinator.withdrawStake();
        assertEq(token.balanceOf(nina), STAKE - 10 * USAGE_ESCROW, "the active part pays first");
        assertEq(_node(nina).stake, 9 * USAGE_ESCROW);
        _assertSolvent();
    }

    function test_withdrawStake__deregistered__still_pays() public {
        _request(STAKE);
        vm.prank(nina);
        nodeRegistry.deregisterNode();
        skip(Settings.COOL_DOWN);
        vm.prank(nina);
        coordinator.withdrawStake();
        assertEq(token.balanceOf(nina), STAKE);
    }

    function _request(uint256 amount) private {
        vm.prank(nina);
        coordinator.requestUnstake(amount);
    }

    function _refuses(address who, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.withdrawStake();
    }
}
