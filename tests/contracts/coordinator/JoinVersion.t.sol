// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract JoinVersionTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_joinVersion__no_such_version__reverts() public {
        _refuses(nina, 4, 32, VersionNotServed.selector);
        _refuses(nina, 0, 32, VersionNotServed.selector);
    }

    function test_joinVersion__not_a_node__reverts() public {
        _refuses(mallory, LONELY, 32, NotNode.selector);
    }

    function test_joinVersion__less_than_a_unit__reverts() public {
        _registerNode(nora, address(0));
        _stake(nora, Settings.UNIT - 1);
        _refuses(nora, LONELY, 32, NodeNotEligible.selector);
    }

    function test_joinVersion__no_slots__reverts() public {
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        _refuses(nina, LONELY, 32, NodeNotEligible.selector);
    }

    function test_joinVersion__all_entries_present__reverts() public {
        _refuses(nina, USAGE, 32, AlreadyJoined.selector);
    }

    function test_joinVersion__no_steps__reverts() public {
        _refuses(nina, LONELY, 0, AmountIsZero.selector);
    }

    function test_joinVersion__a_seventeenth__reverts() public {
        for (uint256 i = 4; i <= 18; ++i) {
            _registerModel(vm.toString(i), vm.toString(i), Settings.flat());
            if (i < 18) _join(nina, i);
        }
        assertEq(coordinator.joinedVersions(nina).length, 16);
        _refuses(nina, 18, 32, TooManyVersions.selector);
    }

    // ---------------------------------------------------------------- post-state
    function test_joinVersion__two_units__adds_two_entries() public {
        _expectEvent();
        emit VersionJoined(nina, LONELY, 2);
        vm.prank(nina);
        assertEq(coordinator.joinVersion(LONELY, 32), 2);

        assertEq(coordinator.version(LONELY).entries, 2);
        assertEq(coordinator.entriesOf(LONELY, 0, 10), _twice(nina));
        assertEq(coordinator.joinedVersions(nina).length, 3);
        assertEq(coordinator.joinedVersions(nina)[2], LONELY);
    }

    function test_joinVersion__in_steps__goes_on_where_it_stopped() public {
        vm.startPrank(nina);
        assertEq(coordinator.joinVersion(LONELY, 1), 1);
        assertEq(coordinator.joinVersion(LONELY, 1), 1);
        vm.stopPrank();
        assertEq(coordinator.version(LONELY).entries, 2);
        assertEq(coordinator.joinedVersions(nina).length, 3, "remembered once");
        _refuses(nina, LONELY, 1, AlreadyJoined.selector);
    }

    function test_joinVersion__staked_more__adds_the_difference() public {
        _stake(nina, Settings.UNIT);
        vm.prank(nina);
        assertEq(coordinator.joinVersion(USAGE, 32), 1);
        assertEq(coordinator.version(USAGE).entries, 5);
    }

    function test_joinVersion__more_than_32_units__counts_32() public {
        _stake(nina, 98 * Settings.UNIT);
        vm.prank(nina);
        assertEq(coordinator.joinVersion(LONELY, 1_000), 32);
    }

    function test_joinVersion__most_stake_for_longest__stays_below_100_entries() public {
        _stake(nina, Settings.MAX_AMOUNT);
        uint64 until = uint64(vm.getBlockTimestamp() + 365 days);
        vm.startPrank(nina);
        coordinator.lockStake(until);
        assertEq(coordinator.joinVersion(LONELY, 1_000), 79, "32 times 2.48"); // 1 + 0.8 * 1.86, of 1e8 tokens
        vm.stopPrank();
    }

    function test_joinVersion__of_an_inactive_model__is_allowed() public {
        vm.prank(owner);
        modelRegistry.setModelActive(LONELY_ID, false);
        _join(nina, LONELY);
        assertEq(coordinator.version(LONELY).entries, 2);
    }

    function testFuzz_joinVersion__entries_follow_stake_not_identities(uint256 stakeWei) public {
        stakeWei = bound(stakeWei, Settings.UNIT, 40 * Settings.UNIT);
        _registerNode(nora, address(0));
        _stake(nora, stakeWei);
        vm.prank(nora);
        uint256 added = coordinator.joinVersion(LONELY, 1_000);
        uint256 units = stakeWei / Settings.UNIT;
        assertEq(added, units < 32 ? units : 32);
    }

    // ---------------------------------------------------------------- helpers
    function _twice(address who) private pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (who, who);
    }

    function _refuses(address who, uint256 version, uint256 steps, bytes4 selector) private {
        vm.expectRevert(selector);
        vm.prank(who);
        coordinator.joinVersion(version, steps);
    }
}
