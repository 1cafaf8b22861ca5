// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract SettleTest is NetworkTest {
    function test_settle__not_a_node__reverts() public {
        vm.expectRevert(NotNode.selector);
        coordinator.settle(mallory);
    }

    function test_settle__nothing_earned__changes_nothing() public {
        _mature();
        vm.recordLogs();
        coordinator.settle(nina);
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(coordinator.credit(paula), 0);
    }

    function test_settle__not_yet_final__credits_nothing() public {
        _deliveredJob();
        skip(Settings.EPOCH);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), 0);
        assertEq(_node(nina).pendingEarnings, USAGE_FLAT_PRICE);
        assertEq(_node(nina).locked, 10 * USAGE_FLAT_PRICE);
        _assertSolvent();
    }

    function test_settle__final__credits_the_payout_address_less_the_fee() public {
        _deliveredJob();
        _mature();
        uint256 fee = _fee(USAGE_FLAT_PRICE);
        _expectEvent();
        emit EarningsMatured(nina, paula, USAGE_FLAT_PRICE - fee, fee);
        vm.prank(mallory);
        coordinator.settle(nina);

        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - fee);
        assertEq(coordinator.credit(nina), 0);
        assertEq(coordinator.collectableFees(), fee);
        assertEq(_node(nina).pendingEarnings, 0);
        assertEq(_node(nina).locked, 0);
        _assertSolvent();
    }

    function test_settle__no_payout_address__credits_the_operator() public {
        uint256 jobId = _submitTo(noel, FLAT_ID);
        _deliver(noel, jobId);
        _mature();
        coordinator.settle(noel);
        assertEq(coordinator.credit(noel), FLAT_ESCROW - _fee(FLAT_ESCROW));
    }

    function test_settle__twice__credits_once() public {
        _deliveredJob();
        _mature();
        coordinator.settle(nina);
        uint256 credit = coordinator.credit(paula);
        coordinator.settle(nina);
        skip(30 days);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), credit);
    }

    function test_settle__long_after__still_credits_all() public {
        _deliveredJob();
        skip(20 * 365 days);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - _fee(USAGE_FLAT_PRICE));
        _assertSolvent();
    }

    function test_settle__earnings_of_two_epochs__mature_one_by_one() public {
        _deliveredJob();
        skip(Settings.EPOCH);
        _deliver(nina, _submitTo(nina, FLAT_ID));
        skip(Settings.EPOCH);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - _fee(USAGE_FLAT_PRICE));
        assertEq(_node(nina).pendingEarnings, FLAT_ESCROW);

        skip(Settings.EPOCH);
        coordinator.settle(nina);
        uint256 both = USAGE_FLAT_PRICE + FLAT_ESCROW;
        assertEq(coordinator.credit(paula), both - _fee(USAGE_FLAT_PRICE) - _fee(FLAT_ESCROW));
        _assertSolvent();
    }

    function test_settle__rate_changed_meanwhile__takes_the_rate_of_the_earning_epoch() public {
        vm.prank(owner);
        coordinator.scheduleFeeRate(1_000); // from epoch 3 on
        skip(Settings.EPOCH);
        _deliver(nina, _submitTo(nina, FLAT_ID)); // epoch 2: the old rate
        skip(Settings.EPOCH);
        _deliver(nina, _submitTo(nina, FLAT_ID)); // epoch 3: the new one
        _mature();
        coordinator.settle(nina);
        uint256 fee = _fee(FLAT_ESCROW) + FLAT_ESCROW / 10;
        assertEq(coordinator.collectableFees(), fee);
        assertEq(coordinator.credit(paula), 2 * FLAT_ESCROW - fee);
        _assertSolvent();
    }

    function test_settle__lease_in_flight__keeps_it() public {
        _deliveredJob();
        _mature();
        _leasedJob();
        coordinator.settle(nina);
        assertEq(_node(nina).inFlight, 1);
        assertEq(_node(nina).escrowInFlight, USAGE_ESCROW);
        assertEq(_node(nina).locked, 10 * USAGE_ESCROW);
    }

    function testFuzz_settle__whatever_the_price_and_rate__loses_no_wei(uint32 output, uint16 rate) public {
        rate = uint16(bound(rate, 0, 1_000));
        vm.prank(owner);
        coordinator.scheduleFeeRate(rate);
        _mature();
        uint256 jobId = _leasedJob();
        bytes32 digest = _digestOf(jobId);
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, digest, 0, output);
        uint256 price = _node(nina).pendingEarnings;
        _mature();
        coordinator.settle(nina);

        assertEq(coordinator.credit(paula) + coordinator.collectableFees(), price);
        assertEq(coordinator.collectableFees(), price * rate / Settings.BPS, "rounded in the node's favour");
        _assertSolvent();
    }
}
