// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {INodeProfileRegistry, NodeInfo, Profile} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev Both overloads; the three-number call has one slot, no endpoint, and pays the caller.
contract RegisterNodeTest is NetworkTest {
    uint256 private constant MOST_MIB = 1 << 30;
    uint256 private constant MOST_CPU = 409_600;

    // ---------------------------------------------------------------- refusals
    function test_registerNode__twice__reverts() public {
        vm.startPrank(nina);
        vm.expectRevert(INodeProfileRegistry.NodeExists.selector);
        nodeRegistry.registerNode(1, 1, 1);
        vm.expectRevert(INodeProfileRegistry.NodeExists.selector);
        nodeRegistry.registerNode(1, 1, 1, _profile(nina, 1));
        vm.stopPrank();
    }

    function test_registerNode__numbers_out_of_bounds__reverts() public {
        uint256[3][3] memory bad = [[MOST_MIB + 1, 0, 0], [uint256(0), MOST_MIB + 1, 0], [uint256(0), 0, MOST_CPU + 1]];
        for (uint256 i; i < bad.length; ++i) {
            vm.expectRevert(INodeProfileRegistry.OutOfBounds.selector);
            vm.prank(nora);
            nodeRegistry.registerNode(bad[i][0], bad[i][1], bad[i][2]);
        }
    }

    function test_registerNode__texts_too_long__reverts() public {
        Profile memory p = _profile(nora, 1);
        p.endpoint = string(new bytes(257));
        _refuses(p);
        p = _profile(nora, 1);
        p.encryptionKey = new bytes(129);
        _refuses(p);
        p = _profile(nora, 1);
        p.region = string(new bytes(65));
        _refuses(p);
    }

    function test_registerNode__coordinator_as_payout__reverts() public {
        vm.expectRevert(INodeProfileRegistry.OutOfBounds.selector);
        vm.prank(nora);
        nodeRegistry.registerNode(1, 1, 1, _profile(address(coordinator), 1));
    }

    // ---------------------------------------------------------------- post-state
    function test_registerNode__three_numbers__has_one_slot_and_pays_itself() public {
        vm.expectEmit(address(nodeRegistry));
        emit INodeProfileRegistry.NodeRegistered(nora, 64_000, 24_000, 800);
        vm.expectEmit(address(nodeRegistry));
        emit INodeProfileRegistry.NodeProfileChanged(nora, "", "", 1);
        vm.prank(nora);
        nodeRegistry.registerNode(64_000, 24_000, 800);

        NodeInfo memory n = nodeRegistry.getNode(nora);
        assertEq(n.maxRAM, 64_000);
        assertEq(n.maxVRAM, 24_000);
        assertEq(n.maxCPUPercent, 800);
        assertEq(n.registeredAt, vm.getBlockTimestamp());
        assertTrue(n.isRegistered);
        assertEq(n.profile.payout, nora);
        assertEq(n.profile.slots, 1);
        assertEq(bytes(n.profile.endpoint).length + n.profile.encryptionKey.length, 0);
        assertEq(nodeRegistry.nodeCount(), 3);
        assertEq(_node(nora).payout, nora);
        assertEq(_node(nora).slots, 1);
        assertEq(_node(nora).stake, 0, "no stake is needed");
    }

    function test_registerNode__with_profile__is_kept_to_the_letter() public {
        Profile memory p = Profile("https://a", hex"c0ffee", "eu", paula, 3);
        vm.prank(nora);
        nodeRegistry.registerNode(MOST_MIB, MOST_MIB, MOST_CPU, p);
        assertEq(abi.encode(nodeRegistry.getNode(nora).profile), abi.encode(p));
        assertEq(_node(nora).payout, paula);
        assertEq(_node(nora).slots, 3);
    }

    function test_registerNode__longest_texts__are_accepted() public {
        Profile memory p = Profile(string(new bytes(256)), new bytes(128), string(new bytes(64)), nora, 1);
        vm.prank(nora);
        nodeRegistry.registerNode(0, 0, 0, p);
        assertEq(nodeRegistry.getNode(nora).profile.encryptionKey.length, 128);
    }

    function test_registerNode__no_slots__has_no_duty() public {
        vm.prank(nora);
        nodeRegistry.registerNode(1, 1, 1, _profile(nora, 0));
        assertEq(_node(nora).slots, 0);
        assertTrue(nodeRegistry.getNode(nora).isRegistered);
    }

    function test_registerNode__again_after_leaving__keeps_number_and_payout() public {
        vm.startPrank(nina);
        nodeRegistry.deregisterNode();
        nodeRegistry.registerNode(1, 1, 1, _profile(mallory, 2));
        vm.stopPrank();
        assertEq(nodeRegistry.getNode(nina).profile.payout, paula, "a stolen key cannot divert earnings");
        assertEq(_node(nina).payout, paula);
        assertEq(_node(nina).number, 1);
        assertEq(_node(nina).slots, 2);
        assertEq(_node(nina).stake, STAKE);
    }

    function _refuses(Profile memory p) private {
        vm.expectRevert(INodeProfileRegistry.TextTooLong.selector);
        vm.prank(nora);
        nodeRegistry.registerNode(1, 1, 1, p);
    }
}
