// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";

contract ResumeTest is NetworkTest {
    function test_resume__not_a_node__reverts() public {
        vm.expectRevert(NotNode.selector);
        vm.prank(mallory);
        coordinator.resume();
    }

    function test_resume__not_suspended__reverts() public {
        vm.expectRevert(NotSuspended.selector);
        vm.prank(nina);
        coordinator.resume();
    }

    function test_resume__after_a_no_show__takes_duty_again() public {
        _noShow();
        assertFalse(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
        _expectEvent();
        emit SlotsChanged(nina, SLOTS);
        vm.prank(nina);
        coordinator.resume();

        assertEq(_node(nina).slots, SLOTS);
        assertFalse(_node(nina).suspended);
        assertTrue(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
    }

    function test_resume__slots_set_meanwhile__takes_those() public {
        _noShow();
        vm.prank(nina);
        nodeRegistry.setSlots(3);
        assertEq(_node(nina).slots, 0, "a suspended node has none, whatever its profile says");
        vm.prank(nina);
        coordinator.resume();
        assertEq(_node(nina).slots, 3);
    }

    function test_resume__deregistered_meanwhile__has_no_duty() public {
        _noShow();
        vm.startPrank(nina);
        nodeRegistry.deregisterNode();
        coordinator.resume();
        vm.stopPrank();
        assertEq(_node(nina).slots, 0);
    }

    function test_resume__registered_anew_while_suspended__does_not_slip_through() public {
        _noShow();
        vm.prank(nina);
        nodeRegistry.deregisterNode();
        _registerNode(nina, address(0));
        assertEq(_node(nina).slots, 0);
        assertTrue(_node(nina).suspended);
    }

    function _noShow() private {
        uint256 jobId = _leasedJob();
        _lapse();
        _take(noel, jobId);
    }
}
