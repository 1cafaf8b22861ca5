// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Job, JobStatus, Node, Version} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev What the coordinator answers when asked beyond what the calls' own tests look at.
contract ViewsTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_job__unknown__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(UnknownJob.selector, 1));
        coordinator.job(1);
    }

    function test_version__unknown__reverts() public {
        vm.expectRevert(VersionNotServed.selector);
        coordinator.version(4);
        vm.expectRevert(VersionNotServed.selector);
        coordinator.maxJobLife(4);
    }

    // ---------------------------------------------------------------- nodes
    function test_node__of_a_stranger__is_empty() public view {
        Node memory none;
        assertEq(abi.encode(_node(mallory)), abi.encode(none));
        assertEq(coordinator.nodeAt(0), address(0));
        assertEq(coordinator.nodeAt(3), address(0));
        assertEq(coordinator.joinedVersions(mallory).length, 0);
    }

    function test_node__at_work__tells_it_all() public {
        _leasedJob();
        _deliveredJob();
        vm.startPrank(nina);
        coordinator.requestUnstake(7 ether);
        coordinator.lockStake(uint64(vm.getBlockTimestamp() + 30 days));
        vm.stopPrank();
        Node memory n = _node(nina);
        assertEq(n.number, 1);
        assertEq(n.payout, paula);
        assertEq(n.slots, SLOTS);
        assertEq(n.inFlight, 1);
        assertEq(n.stake, STAKE - 7 ether);
        assertEq(n.locked, 10 * (USAGE_ESCROW + USAGE_FLAT_PRICE));
        assertEq(n.cooling, 7 ether);
        assertEq(n.coolingUntil, vm.getBlockTimestamp() + Settings.COOL_DOWN);
        assertEq(n.lockedUntil, vm.getBlockTimestamp() + 30 days);
        assertEq(n.escrowInFlight, USAGE_ESCROW);
        assertEq(n.pendingEarnings, USAGE_FLAT_PRICE);
        assertFalse(n.suspended);
    }

    function test_isEligible__exactly_covered__and_a_wei_more() public view {
        uint256 most = STAKE / 10;
        assertTrue(coordinator.isEligible(nina, USAGE, most));
        assertFalse(coordinator.isEligible(nina, USAGE, most + 1));
        assertFalse(coordinator.isEligible(nina, USAGE, type(uint256).max));
        assertFalse(coordinator.isEligible(nina, LONELY, 1));
        assertFalse(coordinator.isEligible(mallory, USAGE, 1));
        assertFalse(coordinator.isEligible(address(0), USAGE, 0));
    }

    function test_isEligible__last_free_slot__counts() public {
        vm.prank(nina);
        nodeRegistry.setSlots(2);
        _leasedJob();
        assertTrue(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
        _leasedJob();
        assertFalse(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
    }

    function test_isEligible__slashed_below_the_lock__is_not() public {
        vm.prank(nina);
        coordinator.requestUnstake(STAKE - 10 * USAGE_ESCROW);
        assertTrue(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
        uint256 jobId = _leasedJob();
        assertFalse(coordinator.isEligible(nina, USAGE, 1));
        _lapse();
        _take(noel, jobId);
        vm.prank(nina);
        coordinator.resume();
        assertFalse(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
        assertTrue(coordinator.isEligible(nina, USAGE, USAGE_ESCROW * 9 / 10));
    }

    // ---------------------------------------------------------------- versions
    function test_version__served__tells_strings_terms_and_entries() public view {
        Version memory v = coordinator.version(USAGE);
        assertEq(v.modelId, USAGE_ID);
        assertEq(v.modelCID, USAGE_CID);
        assertEq(abi.encode(v.terms), abi.encode(Settings.usage()));
        assertEq(v.entries, 4);
        assertEq(v.servesFrom, Settings.START);
    }

    function test_currentVersion__unknown_model__is_none() public view {
        (uint256 current, uint256 announced) = coordinator.currentVersion("unknown");
        assertEq(current + announced, 0);
    }

    function test_maxJobLife__served__is_the_sum_of_its_clocks() public view {
        uint256 turn = uint256(Settings.LEASE) + Settings.GRACE + Settings.OPEN;
        assertEq(coordinator.maxJobLife(USAGE), Settings.OPEN + Settings.ATTEMPTS * turn);
    }

    function test_joinedVersions__two__lists_both() public view {
        assertEq(coordinator.joinedVersions(nina).length, 2);
        assertEq(coordinator.joinedVersions(nina)[0], FLAT);
        assertEq(coordinator.joinedVersions(nina)[1], USAGE);
    }

    // ---------------------------------------------------------------- pages
    function test_entriesOf__pages__are_disjoint_and_complete() public view {
        address[] memory all = coordinator.entriesOf(USAGE, 0, 100);
        assertEq(all.length, 4);
        address[] memory rest = coordinator.entriesOf(USAGE, 3, 100);
        assertEq(rest.length, 1);
        assertEq(rest[0], all[3]);
        assertEq(coordinator.entriesOf(USAGE, 1, 2).length, 2);
        assertEq(coordinator.entriesOf(USAGE, 1, 2)[0], all[1]);
    }

    function test_entriesOf__beyond_the_end__is_empty() public view {
        assertEq(coordinator.entriesOf(USAGE, 4, 100).length, 0);
        assertEq(coordinator.entriesOf(USAGE, type(uint256).max, 1).length, 0);
        assertEq(coordinator.entriesOf(99, 0, 100).length, 0);
        assertEq(coordinator.entriesOf(USAGE, 0, 0).length, 0);
    }

    function test_entriesOf__more_than_a_page__is_cut_at_100() public {
        for (uint160 i = 1; i <= 4; ++i) {
            address node = address(0xA000 + i);
            _registerNode(node, address(0));
            _stake(node, 32 * Settings.UNIT);
            _join(node, LONELY);
        }
        assertEq(coordinator.entriesOf(LONELY, 0, 1_000).length, 100);
        assertEq(coordinator.entriesOf(LONELY, 100, 1_000).length, 28);
    }

    // ---------------------------------------------------------------- the two halves
    function test_coordinator__unknown_selector__reverts() public {
        (bool ok,) = address(coordinator).call(abi.encodeWithSignature("noSuchFunction()"));
        assertFalse(ok);
        (ok,) = address(coordinator).call("");
        assertFalse(ok);
    }
}
