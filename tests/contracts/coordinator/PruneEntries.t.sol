// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract PruneEntriesTest is NetworkTest {
    function test_pruneEntries__not_a_node__reverts() public {
        _refuses(mallory, USAGE, 1, NotNode.selector);
    }

    function test_pruneEntries__not_joined__reverts() public {
        _refuses(nina, LONELY, 1, NotJoined.selector);
    }

    function test_pruneEntries__all_backed_by_stake__reverts() public {
        _refuses(nina, USAGE, 99, AmountIsZero.selector);
    }

    function test_pruneEntries__no_steps__reverts() public {
        _unstake(Settings.UNIT);
        _refuses(nina, USAGE, 0, AmountIsZero.selector);
    }

    function test_pruneEntries__a_unit_less__removes_one_entry() public {
        _unstake(1);
        _expectEvent();
        emit VersionLeft(nina, USAGE, 1);
        assertEq(_prune(USAGE, 99), 1);
        assertEq(coordinator.version(USAGE).entries, 3);
        _refuses(nina, USAGE, 99, AmountIsZero.selector);
    }

    function test_pruneEntries__deregistered__removes_all_in_steps() public {
        vm.prank(nina);
        nodeRegistry.deregisterNode();
        assertEq(_prune(USAGE, 1), 1);
        assertEq(_prune(USAGE, 1), 1);
        assertEq(coordinator.version(USAGE).entries, 2);
        assertEq(coordinator.joinedVersions(nina).length, 1);
        _refuses(nina, USAGE, 1, NotJoined.selector);
    }

    function test_pruneEntries__suspended__removes_all() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _take(noel, jobId);
        assertEq(_prune(USAGE, 99), 2);
        assertEq(_prune(FLAT, 99), 2);
        assertEq(coordinator.joinedVersions(nina).length, 0);
    }

    function test_pruneEntries__resumed_before__reverts() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _take(noel, jobId);
        _stake(nina, USAGE_ESCROW); // what the no-show cost
        vm.prank(nina);
        coordinator.resume();
        _refuses(nina, USAGE, 99, AmountIsZero.selector);
    }

    function _unstake(uint256 amount) private {
        vm.prank(nina);
        coordinator.requestUnstake(amount);
    }

    function _prune(uint256 version, uint256 steps) private returns (uint256) {
        vm.prank(mallory);
        return coordinator.pruneEntries(nina, version, steps);
    }

    function _refuses(address node, uint256 version, uint256 steps, bytes4 selector) private {
        vm.expectRevert(selector);
        vm.prank(mallory);
        coordinator.pruneEntries(node, version, steps);
    }
}
