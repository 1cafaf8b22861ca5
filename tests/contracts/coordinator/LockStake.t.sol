// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract LockStakeTest is NetworkTest {
    function test_lockStake__not_a_node__reverts() public {
        _refuses(mallory, vm.getBlockTimestamp() + 7 days, NotNode.selector);
    }

    function test_lockStake__not_in_the_future__reverts() public {
        _refuses(nina, vm.getBlockTimestamp(), OutOfBounds.selector);
    }

    function test_lockStake__beyond_a_year__reverts() public {
        _refuses(nina, vm.getBlockTimestamp() + 366 days, OutOfBounds.selector);
    }

    function test_lockStake__not_later_than_before__reverts() public {
        uint256 until = vm.getBlockTimestamp() + 30 days;
        _lock(until);
        _refuses(nina, until, OutOfBounds.selector);
        _refuses(nina, until - 1, OutOfBounds.selector);
    }

    function test_lockStake__promise__is_remembered() public {
        uint256 until = vm.getBlockTimestamp() + 30 days;
        _expectEvent();
        emit StakeLocked(nina, uint64(until));
        _lock(until);
        assertEq(_node(nina).lockedUntil, until);
        assertEq(_node(nina).stake, STAKE);
        assertEq(_node(nina).locked, 0, "a promise is no lock behind work");
    }

    function test_lockStake__longer__raises_the_entries() public {
        _stake(nina, 8 * Settings.UNIT); // ten units
        _lock(vm.getBlockTimestamp() + 30 days);
        _join(nina, LONELY);
        assertEq(_entries(LONELY), 15, "ten times 1.50");
    }

    function test_lockStake__extended_shortly__counts_the_days_left_from_now() public {
        _stake(nina, 8 * Settings.UNIT);
        _lock(vm.getBlockTimestamp() + 30 days);
        skip(26 days);
        _lock(vm.getBlockTimestamp() + 5 days);
        _join(nina, LONELY);
        assertEq(_entries(LONELY), 10, "five days are below the least that counts");
    }

    function test_lockStake__over__no_longer_counts() public {
        _stake(nina, 8 * Settings.UNIT);
        _lock(vm.getBlockTimestamp() + 30 days);
        _join(nina, LONELY);
        skip(30 days);
        coordinator.pruneEntries(nina, LONELY, 99);
        assertEq(_entries(LONELY), 10);
    }

    function _entries(uint256 version) private view returns (uint256) {
        return coordinator.version(version).entries;
    }

    function _lock(uint256 until) private {
        vm.prank(nina);
        coordinator.lockStake(uint64(until));
    }

    function _refuses(address who, uint256 until, bytes4 selector) private {
        vm.expectRevert(selector);
        vm.prank(who);
        coordinator.lockStake(uint64(until));
    }
}
