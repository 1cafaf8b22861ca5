// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract ScheduleFeeRateTest is NetworkTest {
    function test_scheduleFeeRate__by_another__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, mallory));
        vm.prank(mallory);
        coordinator.scheduleFeeRate(0);
    }

    function test_scheduleFeeRate__above_the_cap__reverts() public {
        assertEq(coordinator.MAX_FEE_BPS(), 1_000);
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(owner);
        coordinator.scheduleFeeRate(1_001);
    }

    function test_scheduleFeeRate__in_bounds__holds_from_two_epochs_on() public {
        uint256 today = coordinator.currentEpoch();
        _expectEvent();
        emit FeeRateScheduled(1_000, today + 2);
        _schedule(1_000);
        assertEq(coordinator.feeBpsAt(today - 1), Settings.FEE_BPS);
        assertEq(coordinator.feeBpsAt(today + 1), Settings.FEE_BPS);
        assertEq(coordinator.feeBpsAt(today + 2), 1_000);
        assertEq(coordinator.feeBpsAt(type(uint256).max), 1_000);
    }

    function test_scheduleFeeRate__twice_in_an_epoch__replaces() public {
        uint256 today = coordinator.currentEpoch();
        _schedule(1_000);
        _schedule(300);
        assertEq(coordinator.feeBpsAt(today + 2), 300);
    }

    function test_scheduleFeeRate__in_the_next_epoch__keeps_both() public {
        uint256 today = coordinator.currentEpoch();
        _schedule(1_000);
        skip(Settings.EPOCH);
        _schedule(0);
        assertEq(coordinator.feeBpsAt(today + 2), 1_000);
        assertEq(coordinator.feeBpsAt(today + 3), 0);
    }

    function _schedule(uint16 bps) private {
        vm.prank(owner);
        coordinator.scheduleFeeRate(bps);
    }
}
