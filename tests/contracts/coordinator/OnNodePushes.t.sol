// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev onNodeRegistered, onNodeSlots and onNodeDeregistered: what the node registry pushes.
contract OnNodePushesTest is NetworkTest {
    function test_onNode__by_another__reverts() public {
        address[4] memory others = [owner, nina, mallory, address(modelRegistry)];
        for (uint256 i; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(NotRegistry.selector);
            coordinator.onNodeRegistered(nora, nora, 1);
            vm.expectRevert(NotRegistry.selector);
            coordinator.onNodeSlots(nina, 1);
            vm.expectRevert(NotRegistry.selector);
            coordinator.onNodeDeregistered(nina);
            vm.stopPrank();
        }
    }

    function test_onNode__unknown_node__reverts() public {
        vm.startPrank(address(nodeRegistry));
        vm.expectRevert(NotNode.selector);
        coordinator.onNodeSlots(nora, 1);
        vm.expectRevert(NotNode.selector);
        coordinator.onNodeDeregistered(nora);
        vm.stopPrank();
    }

    function test_onNodeRegistered__new__gets_the_next_number() public {
        _expectEvent();
        emit SlotsChanged(nora, 5);
        vm.prank(address(nodeRegistry));
        coordinator.onNodeRegistered(nora, paula, 5);

        Node memory n = _node(nora);
        assertEq(n.number, 3);
        assertEq(n.payout, paula);
        assertEq(n.slots, 5);
        assertEq(n.stake, 0);
        assertEq(coordinator.nodeCount(), 3);
        assertEq(coordinator.nodeAt(3), nora);
    }

    function test_onNodeRegistered__again__keeps_number_stake_and_payout() public {
        vm.startPrank(address(nodeRegistry));
        coordinator.onNodeDeregistered(nina);
        coordinator.onNodeRegistered(nina, mallory, 2);
        vm.stopPrank();
        Node memory n = _node(nina);
        assertEq(n.number, 1);
        assertEq(n.payout, paula);
        assertEq(n.stake, STAKE);
        assertEq(n.slots, 2);
        assertEq(coordinator.nodeCount(), 2);
    }

    function test_onNodeSlots__fewer_than_in_flight__keeps_the_jobs() public {
        _leasedJob();
        _leasedJob();
        vm.prank(address(nodeRegistry));
        coordinator.onNodeSlots(nina, 1);
        assertEq(_node(nina).inFlight, 2);
        assertFalse(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
    }

    function test_onNodeDeregistered__job_in_flight__keeps_stake_and_lock() public {
        _leasedJob();
        vm.prank(address(nodeRegistry));
        coordinator.onNodeDeregistered(nina);
        Node memory n = _node(nina);
        assertEq(n.slots, 0);
        assertEq(n.inFlight, 1);
        assertEq(n.stake, STAKE);
        assertEq(n.locked, 10 * USAGE_ESCROW);
    }
}
