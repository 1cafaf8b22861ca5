// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Every clock of the rules, one second before its edge, at the edge and one second after. The edge is the last second of
/// what ends or the first of what begins, as each test's name says.
contract ClocksTest is NetworkTest {
    uint256 private jobId;
    string private publishedId;

    // ---------------------------------------------------------------- lease and grace
    function test_delivery__last_second_is_the_end_of_grace() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE, _delivers, _delivers, _deliversTooLate);
    }

    function test_failJob__last_second_is_the_end_of_grace() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE, _failsBusy, _failsBusy, _failsTooLate);
    }

    function test_takeover__first_second_is_after_grace() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE + 1, _takesTooEarly, _takes, _takes);
    }

    function test_takeover__last_second_is_the_end_of_the_open_time() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE + Settings.OPEN, _takes, _takes, _takesTooLate);
    }

    // ---------------------------------------------------------------- open
    function test_take_of_an_open_job__last_second_is_the_end_of_the_open_time() public {
        jobId = _openJob();
        _join(noel, LONELY);
        _around(vm.getBlockTimestamp() + Settings.OPEN, _takes, _takes, _takesTooLate);
    }

    function test_take_of_a_handed_back_job__last_second_counts_from_the_hand_back() public {
        jobId = _leasedJob();
        skip(100);
        _failsBusy();
        _around(vm.getBlockTimestamp() + Settings.OPEN, _takes, _takes, _takesTooLate);
    }

    function test_expiry_of_an_open_job__first_second_is_after_the_open_time() public {
        jobId = _openJob();
        _around(vm.getBlockTimestamp() + Settings.OPEN + 1, _expiresTooEarly, _expires, _expires);
    }

    function test_expiry_of_a_lapsed_job__first_second_is_after_the_open_time() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE + Settings.OPEN + 1, _expiresTooEarly, _expires, _expires);
    }

    function test_expiry_of_a_lapsed_last_attempt__first_second_is_after_grace() public {
        jobId = _lastAttempt();
        _around(_leaseEnd() + Settings.GRACE + 1, _expiresTooEarly, _expires, _expires);
    }

    /// @dev At no second is a job beyond reach: what can no longer be taken can be expired.
    function test_lapsed_job__at_every_second__somebody_can_act() public {
        jobId = _leasedJob();
        _around(_leaseEnd() + Settings.GRACE + Settings.OPEN, _takes, _takes, _expires);
    }

    function test_last_attempt__at_every_second__somebody_can_act() public {
        jobId = _lastAttempt();
        _around(_leaseEnd() + Settings.GRACE, _deliversAsHolder, _deliversAsHolder, _expires);
    }

    function test_job__slowest_course__ends_within_the_stated_life() public {
        uint256 start = vm.getBlockTimestamp();
        _join(nina, LONELY);
        _join(noel, LONELY);
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        vm.prank(noel);
        nodeRegistry.setSlots(0);
        jobId = _openJob();
        for (uint256 i; i < Settings.ATTEMPTS; ++i) {
            skip(Settings.OPEN);
            address taker = i % 2 == 0 ? nina : noel;
            if (_node(taker).suspended) _resume(taker);
            vm.prank(taker);
            nodeRegistry.setSlots(1);
            _take(taker, jobId);
            skip(uint256(Settings.LEASE) + Settings.GRACE);
        }
        uint256 age = vm.getBlockTimestamp() - start;
        assertLe(age, coordinator.maxJobLife(LONELY));
        skip(1);
        coordinator.expireJob(jobId);
        _assertStatus(jobId, JobStatus.Expired);
    }

    // ---------------------------------------------------------------- epochs
    function test_earnings__first_second_is_two_epochs_on() public {
        skip(777); // somewhere in epoch 1
        jobId = _leasedJob();
        _delivers();
        _around(Settings.START + 2 * uint256(Settings.EPOCH), _isNotFinal, _isFinal, _isFinal);
    }

    function test_earnings__of_an_epochs_last_second__are_final_after_one_epoch() public {
        vm.warp(Settings.START + Settings.EPOCH - 1);
        jobId = _leasedJob();
        _delivers();
        _around(Settings.START + 2 * uint256(Settings.EPOCH), _isNotFinal, _isFinal, _isFinal);
    }

    function test_earnings__of_an_epochs_first_second__are_final_after_two() public {
        vm.warp(Settings.START + Settings.EPOCH);
        jobId = _leasedJob();
        _delivers();
        _around(Settings.START + 3 * uint256(Settings.EPOCH), _isNotFinal, _isFinal, _isFinal);
    }

    function test_feeRate__first_second_is_the_start_of_its_epoch() public {
        vm.prank(owner);
        coordinator.scheduleFeeRate(1_000);
        _around(Settings.START + 2 * uint256(Settings.EPOCH), _feeIsOld, _feeIsNew, _feeIsNew);
    }

    // ---------------------------------------------------------------- stake, bonds and announcements
    function test_withdrawStake__first_second_is_the_end_of_the_cool_down() public {
        vm.prank(nina);
        coordinator.requestUnstake(1 ether);
        uint256 until = vm.getBlockTimestamp() + Settings.COOL_DOWN;
        _around(until, _withdrawsStakeTooEarly, _withdrawsStake, _withdrawsStake);
    }

    function test_requestUnstake__first_second_is_the_end_of_the_promise() public {
        uint64 until = uint64(vm.getBlockTimestamp() + 30 days);
        vm.prank(nina);
        coordinator.lockStake(until);
        _around(until, _unstakesTooEarly, _unstakes, _unstakes);
    }

    function test_returnBond__first_second_is_the_end_of_the_cool_down() public {
        publishedId = string.concat(vm.toLowercase(vm.toString(petra)), "/m");
        _fund(petra, Settings.BOND);
        vm.startPrank(petra);
        modelRegistry.publishModel(publishedId, "bafyp", "", "", Settings.flat());
        modelRegistry.setModelActive(publishedId, false);
        vm.stopPrank();
        _around(vm.getBlockTimestamp() + Settings.COOL_DOWN, _returnsBondTooEarly, _returnsBond, _returnsBond);
    }

    function test_version__first_second_is_the_end_of_the_delay() public {
        vm.prank(owner);
        modelRegistry.updateModel(FLAT_ID, "bafybeinext");
        _around(vm.getBlockTimestamp() + Settings.ANNOUNCE_DELAY, _servesOld, _servesNew, _servesNew);
    }

    // ---------------------------------------------------------------- the matrix
    function _around(uint256 edge, function() internal before, function() internal at, function() internal afterwards)
        private
    {
        uint256 state = vm.snapshotState();
        vm.warp(edge - 1);
        before();
        vm.revertToState(state);
        vm.warp(edge);
        at();
        vm.revertToState(state);
        vm.warp(edge + 1);
        afterwards();
        vm.revertToState(state);
    }

    // ---------------------------------------------------------------- acts
    function _delivers() internal {
        _deliver(nina, jobId);
        _assertStatus(jobId, JobStatus.Delivered);
    }

    function _deliversAsHolder() internal {
        _deliver(coordinator.job(jobId).node, jobId);
        _assertStatus(jobId, JobStatus.Delivered);
    }

    function _deliversTooLate() internal {
        vm.expectRevert(abi.encodeWithSelector(TooLate.selector, vm.getBlockTimestamp() - 1));
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER);
    }

    function _failsBusy() internal {
        _fail(nina, jobId, FailureCode.Busy);
        _assertStatus(jobId, JobStatus.Open);
    }

    function _failsTooLate() internal {
        vm.expectRevert(abi.encodeWithSelector(TooLate.selector, vm.getBlockTimestamp() - 1));
        vm.prank(nina);
        coordinator.failJob(jobId, FailureCode.ContentMissing);
    }

    function _takes() internal {
        _take(noel, jobId);
        assertEq(coordinator.job(jobId).node, noel);
    }

    function _takesTooEarly() internal {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + 1));
        vm.prank(noel);
        coordinator.takeJob(jobId);
    }

    function _takesTooLate() internal {
        vm.expectRevert(abi.encodeWithSelector(TooLate.selector, vm.getBlockTimestamp() - 1));
        vm.prank(noel);
        coordinator.takeJob(jobId);
    }

    function _expires() internal {
        coordinator.expireJob(jobId);
        _assertStatus(jobId, JobStatus.Expired);
        assertEq(coordinator.credit(alice), CREDIT, "the refund is whole");
    }

    function _expiresTooEarly() internal {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + 1));
        coordinator.expireJob(jobId);
    }

    function _isNotFinal() internal {
        assertFalse(coordinator.job(jobId).isFinal);
        assertGt(_node(nina).locked, 0);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), 0);
    }

    function _isFinal() internal {
        assertTrue(coordinator.job(jobId).isFinal);
        assertEq(_node(nina).locked, 0, "free without being settled");
        coordinator.settle(nina);
        assertGt(coordinator.credit(paula), 0);
    }

    function _feeIsOld() internal view {
        assertEq(coordinator.feeBpsAt(coordinator.currentEpoch()), Settings.FEE_BPS);
    }

    function _feeIsNew() internal view {
        assertEq(coordinator.feeBpsAt(coordinator.currentEpoch()), 1_000);
    }

    function _withdrawsStake() internal {
        vm.prank(nina);
        coordinator.withdrawStake();
        assertEq(token.balanceOf(nina), 1 ether);
    }

    function _withdrawsStakeTooEarly() internal {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + 1));
        vm.prank(nina);
        coordinator.withdrawStake();
    }

    function _unstakes() internal {
        vm.prank(nina);
        coordinator.requestUnstake(1 ether);
        assertEq(_node(nina).cooling, 1 ether);
    }

    function _unstakesTooEarly() internal {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + 1));
        vm.prank(nina);
        coordinator.requestUnstake(1 ether);
    }

    function _returnsBond() internal {
        coordinator.returnBond(publishedId);
        assertEq(coordinator.credit(petra), Settings.BOND);
    }

    function _returnsBondTooEarly() internal {
        vm.expectRevert(abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + 1));
        coordinator.returnBond(publishedId);
    }

    function _servesOld() internal {
        assertEq(coordinator.job(_submitTo(nina, FLAT_ID)).version, FLAT);
    }

    function _servesNew() internal {
        assertEq(coordinator.job(_submitTo(address(0), FLAT_ID)).version, 4);
    }

    function _resume(address node) private {
        vm.prank(node);
        coordinator.resume();
    }
}
