// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {INodeProfileRegistry, NodeInfo, Profile} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev updateProfile and setSlots, which is the short form for slots alone.
contract UpdateProfileTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_updateProfile__not_registered__reverts() public {
        vm.startPrank(nora);
        vm.expectRevert(INodeProfileRegistry.NodeUnknown.selector);
        nodeRegistry.updateProfile(1, 1, 1, _profile(nora, 1));
        vm.expectRevert(INodeProfileRegistry.NodeUnknown.selector);
        nodeRegistry.setSlots(1);
        vm.stopPrank();
    }

    function test_updateProfile__out_of_bounds__reverts() public {
        vm.expectRevert(INodeProfileRegistry.OutOfBounds.selector);
        vm.prank(nina);
        nodeRegistry.updateProfile((1 << 30) + 1, 1, 1, _profile(nina, 1));
    }

    function test_updateProfile__texts_too_long__reverts() public {
        Profile memory p = _profile(nina, 1);
        p.region = string(new bytes(65));
        vm.expectRevert(INodeProfileRegistry.TextTooLong.selector);
        vm.prank(nina);
        nodeRegistry.updateProfile(1, 1, 1, p);
    }

    // ---------------------------------------------------------------- post-state
    function test_updateProfile__all_new__changes_all_but_the_payout() public {
        uint256 registeredAt = nodeRegistry.getNode(nina).registeredAt;
        skip(5);
        vm.expectEmit(address(nodeRegistry));
        emit INodeProfileRegistry.NodeProfileChanged(nina, "https://b", "us", 4);
        _expectEvent();
        emit SlotsChanged(nina, 4);
        vm.prank(nina);
        nodeRegistry.updateProfile(1, 2, 3, Profile("https://b", hex"02", "us", mallory, 4));

        NodeInfo memory n = nodeRegistry.getNode(nina);
        assertEq(abi.encode(n.profile), abi.encode(Profile("https://b", hex"02", "us", paula, 4)));
        assertEq(n.maxRAM, 1);
        assertEq(n.maxVRAM, 2);
        assertEq(n.maxCPUPercent, 3);
        assertEq(n.registeredAt, registeredAt);
        assertEq(_node(nina).payout, paula);
        assertEq(_node(nina).slots, 4);
    }

    function test_updateProfile__same_slots__tells_the_coordinator_nothing() public {
        vm.recordLogs();
        vm.prank(nina);
        nodeRegistry.updateProfile(1, 2, 3, _profile(nina, SLOTS));
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1);
        assertEq(logs[0].emitter, address(nodeRegistry));
    }

    function test_setSlots__any__changes_the_duty_alone() public {
        vm.expectEmit(address(nodeRegistry));
        emit INodeProfileRegistry.NodeProfileChanged(nina, "https://node.example:8701", "eu-central", 65_535);
        vm.prank(nina);
        nodeRegistry.setSlots(type(uint16).max);
        assertEq(_node(nina).slots, type(uint16).max);
        assertEq(nodeRegistry.getNode(nina).profile.slots, type(uint16).max);
        assertEq(_node(nina).stake, STAKE);
        assertEq(_node(noel).slots, SLOTS);
    }

    function test_setSlots__zero__takes_the_node_off_duty_at_once() public {
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        assertFalse(coordinator.isEligible(nina, FLAT, FLAT_ESCROW));
    }
}
