// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {INodeProfileRegistry, NodeInfo} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract DeregisterNodeTest is NetworkTest {
    function test_deregisterNode__not_registered__reverts() public {
        vm.expectRevert(INodeProfileRegistry.NodeUnknown.selector);
        vm.prank(mallory);
        nodeRegistry.deregisterNode();
    }

    function test_deregisterNode__registered__removes_the_profile_and_keeps_the_stake() public {
        vm.expectEmit(address(nodeRegistry));
        emit INodeProfileRegistry.NodeDeregistered(nina);
        _expectEvent();
        emit SlotsChanged(nina, 0);
        _deregister(nina);

        NodeInfo memory none;
        assertEq(abi.encode(nodeRegistry.getNode(nina)), abi.encode(none));
        assertEq(nodeRegistry.nodeCount(), 1);
        Node memory n = _node(nina);
        assertEq(n.slots, 0);
        assertEq(n.stake, STAKE);
        assertEq(n.number, 1);
        assertEq(n.payout, paula);
        _assertSolvent();
    }

    function test_deregisterNode__twice__reverts() public {
        _deregister(nina);
        vm.expectRevert(INodeProfileRegistry.NodeUnknown.selector);
        _deregister(nina);
    }

    function test_deregisterNode__first_of_the_list__keeps_the_others_in_place() public {
        _registerNode(nora, address(0));
        _deregister(nina);
        (address[] memory operators,) = nodeRegistry.nodes(0, 10);
        assertEq(operators.length, 2);
        assertEq(operators[0], nora, "the last takes the gap");
        assertEq(operators[1], noel);
        _deregister(nora);
        _deregister(noel);
        assertEq(nodeRegistry.nodeCount(), 0);
        _registerNode(nora, address(0));
        assertEq(nodeRegistry.nodeCount(), 1);
    }

    function test_deregisterNode__job_in_flight__can_still_deliver_and_be_paid() public {
        uint256 jobId = _leasedJob();
        _deregister(nina);
        _deliver(nina, jobId);
        _mature();
        coordinator.settle(nina);
        _assertStatus(jobId, JobStatus.Delivered);
        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - _fee(USAGE_FLAT_PRICE));
    }

    function test_deregisterNode__job_in_flight__frees_no_locked_stake() public {
        _leasedJob();
        _deregister(nina);
        uint256 free = STAKE - 10 * USAGE_ESCROW;
        vm.expectRevert(abi.encodeWithSelector(InsufficientStake.selector, free, STAKE));
        vm.prank(nina);
        coordinator.requestUnstake(STAKE);
    }

    function _deregister(address node) private {
        vm.prank(node);
        nodeRegistry.deregisterNode();
    }
}
