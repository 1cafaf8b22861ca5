// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NodeInfo} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract NodeViewsTest is NetworkTest {
    function test_getNode__stranger__is_empty() public view {
        NodeInfo memory none;
        assertEq(abi.encode(nodeRegistry.getNode(mallory)), abi.encode(none));
    }

    function test_nodeRegistry__default__knows_its_coordinator() public view {
        assertEq(nodeRegistry.coordinator(), address(coordinator));
        assertEq(nodeRegistry.nodeCount(), 2);
    }

    function test_nodes__pages__are_disjoint_and_complete() public view {
        (address[] memory operators, NodeInfo[] memory infos) = nodeRegistry.nodes(0, 1);
        assertEq(operators.length, 1);
        assertEq(operators[0], nina);
        assertEq(infos[0].profile.payout, paula);
        (operators, infos) = nodeRegistry.nodes(1, 1);
        assertEq(operators[0], noel);
        assertEq(infos[0].profile.payout, noel);
    }

    function test_nodes__beyond_the_end__is_empty() public view {
        (address[] memory operators, NodeInfo[] memory infos) = nodeRegistry.nodes(2, 100);
        assertEq(operators.length + infos.length, 0);
        (operators,) = nodeRegistry.nodes(type(uint256).max, type(uint256).max);
        assertEq(operators.length, 0);
    }

    function test_nodes__more_than_a_page__is_cut_at_100() public {
        for (uint160 i = 1; i <= 99; ++i) {
            vm.prank(address(0xA000 + i));
            nodeRegistry.registerNode(1, 1, 1);
        }
        (address[] memory operators,) = nodeRegistry.nodes(0, 1_000);
        assertEq(operators.length, 100);
        assertEq(nodeRegistry.nodeCount(), 101);
    }
}
