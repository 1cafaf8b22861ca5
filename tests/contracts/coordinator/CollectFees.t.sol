// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract CollectFeesTest is NetworkTest {
    function test_collectFees__nothing_collected__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        coordinator.collectFees();
    }

    function test_collectFees__by_anyone__pays_the_treasury() public {
        _fail(nina, _leasedJob(), FailureCode.ContentMissing);
        uint256 amount = USAGE_ESCROW / 50;
        _expectEvent();
        emit FeesCollected(treasury, amount);
        vm.prank(mallory);
        coordinator.collectFees();

        assertEq(token.balanceOf(treasury), amount);
        assertEq(token.balanceOf(mallory), 0);
        assertEq(coordinator.collectableFees(), 0);
        _assertSolvent();
        vm.expectRevert(AmountIsZero.selector);
        coordinator.collectFees();
    }
}
