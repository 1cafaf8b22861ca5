// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Settings} from "../support/Settings.sol";
import {ShortStakeTest} from "../support/ShortStakeTest.sol";

contract ExpireJobTest is ShortStakeTest {
    // ---------------------------------------------------------------- refusals
    function test_expireJob__unknown__reverts() public {
        _refuses(99, abi.encodeWithSelector(UnknownJob.selector, 99));
    }

    function test_expireJob__open_in_its_time__reverts() public {
        uint256 jobId = _openJob();
        uint256 from = vm.getBlockTimestamp() + Settings.OPEN + 1;
        _refuses(jobId, abi.encodeWithSelector(TooEarly.selector, from));
    }

    function test_expireJob__lapsed_with_attempts_left__waits_for_the_open_time() public {
        uint256 jobId = _leasedJob();
        uint256 from = _leaseEnd() + Settings.GRACE + Settings.OPEN + 1;
        _lapse();
        _refuses(jobId, abi.encodeWithSelector(TooEarly.selector, from));
    }

    function test_expireJob__over__reverts() public {
        uint256 jobId = _deliveredJob();
        skip(1 days);
        _refuses(jobId, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Delivered));
    }

    function test_expireJob__twice__reverts() public {
        uint256 jobId = _openJob();
        skip(1 days);
        _expire(mallory, jobId);
        _refuses(jobId, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Expired));
        assertEq(coordinator.credit(alice), CREDIT);
    }

    // ---------------------------------------------------------------- never taken
    function test_expireJob__open__refunds_all_and_pays_nobody() public {
        uint256 jobId = _openJob();
        skip(uint256(Settings.OPEN) + 1);
        _expectEvent();
        emit JobExpired(jobId, USAGE_ESCROW);
        _expire(mallory, jobId);

        _assertStatus(jobId, JobStatus.Expired);
        assertEq(coordinator.job(jobId).until, vm.getBlockTimestamp());
        assertTrue(coordinator.job(jobId).isFinal);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(coordinator.credit(mallory), 0);
        assertEq(coordinator.collectableFees(), 0);
        _assertSolvent();
    }

    // ---------------------------------------------------------------- no-shows
    function test_expireJob__no_show__refunds_all_and_punishes_the_node() public {
        uint256 jobId = _lastAttempt();
        uint256 charged = coordinator.collectableFees();
        uint256 stakeBefore = _node(noel).stake;
        _lapse();
        _expectEvent();
        emit SlotsChanged(noel, 0);
        _expectEvent();
        emit JobExpired(jobId, USAGE_ESCROW);
        _expire(mallory, jobId);

        _assertStatus(jobId, JobStatus.Expired);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(coordinator.credit(mallory), Settings.REWARD_CAP, "a tenth is more than the cap");
        assertEq(coordinator.collectableFees(), charged + USAGE_ESCROW - Settings.REWARD_CAP);
        Node memory n = _node(noel);
        assertEq(n.stake, stakeBefore - USAGE_ESCROW);
        assertEq(n.inFlight, 0);
        assertEq(n.escrowInFlight, 0);
        assertEq(n.slots, 0);
        assertTrue(n.suspended);
        _assertSolvent();
    }

    function test_expireJob__no_show__tells_the_penalty() public {
        uint256 jobId = _leasedJob();
        _lapse();
        skip(Settings.OPEN);
        _expectEvent();
        emit NoShow(jobId, nina, USAGE_ESCROW);
        _expire(mallory, jobId);
    }

    function test_expireJob__small_penalty__pays_a_tenth() public {
        uint256 jobId = _submitTo(nina, FLAT_ID);
        skip(1 days);
        _expire(mallory, jobId);
        assertEq(coordinator.credit(mallory), FLAT_ESCROW / 10);
        assertEq(coordinator.collectableFees(), FLAT_ESCROW - FLAT_ESCROW / 10);
        _assertSolvent();
    }

    function test_expireJob__by_the_requester__gets_the_refund_only() public {
        uint256 jobId = _leasedJob();
        skip(1 days);
        _expire(alice, jobId);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(coordinator.collectableFees(), USAGE_ESCROW);
    }

    function test_expireJob__by_the_no_show_itself__gets_nothing_back() public {
        uint256 jobId = _leasedJob();
        skip(1 days);
        _expire(nina, jobId);
        assertEq(coordinator.credit(nina), 0);
        assertEq(coordinator.collectableFees(), USAGE_ESCROW);
    }

    function test_expireJob__stake_is_short__takes_what_is_there() public {
        uint256 jobId = _leasedJob();
        _burnStake(nina, 5 ether);
        skip(1 days);
        _expectEvent();
        emit NoShow(jobId, nina, 5 ether);
        _expire(alice, jobId);
        assertEq(_node(nina).stake, 0);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(coordinator.collectableFees(), 5 ether);
    }

    function test_expireJob__active_stake_is_short__takes_cooling_stake_as_well() public {
        vm.prank(nina);
        coordinator.requestUnstake(100 ether);
        uint256 jobId = _leasedJob();
        _burnStake(nina, 5 ether);
        skip(1 days);
        _expire(alice, jobId);
        assertEq(_node(nina).stake, 0);
        assertEq(_node(nina).cooling, 100 ether + 5 ether - USAGE_ESCROW);
        assertEq(coordinator.collectableFees(), USAGE_ESCROW);
    }

    function test_expireJob__node_already_gone__still_works() public {
        uint256 jobId = _leasedJob();
        vm.prank(nina);
        nodeRegistry.deregisterNode();
        skip(1 days);
        _expire(mallory, jobId);
        _assertStatus(jobId, JobStatus.Expired);
        assertEq(_node(nina).stake, STAKE - USAGE_ESCROW);
        _assertSolvent();
    }

    function test_expireJob__two_no_shows_of_one_node__both_pay() public {
        (uint256 first, uint256 second) = (_leasedJob(), _leasedJob());
        skip(1 days);
        _expire(mallory, first);
        _expire(mallory, second);
        assertEq(_node(nina).stake, STAKE - 2 * USAGE_ESCROW);
        assertEq(_node(nina).inFlight, 0);
        assertEq(coordinator.credit(alice), CREDIT);
        _assertSolvent();
    }

    // ---------------------------------------------------------------- helpers
    function _expire(address who, uint256 jobId) private {
        vm.prank(who);
        coordinator.expireJob(jobId);
    }

    function _refuses(uint256 jobId, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(mallory);
        coordinator.expireJob(jobId);
    }
}
