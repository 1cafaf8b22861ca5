// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, Job, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract TakeJobTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_takeJob__paused__reverts() public {
        uint256 jobId = _handedBackJob();
        vm.prank(owner);
        coordinator.setNewWorkPaused(true);
        _refuses(noel, jobId, abi.encodePacked(NewWorkIsPaused.selector));
    }

    function test_takeJob__unknown__reverts() public {
        _refuses(noel, 99, abi.encodeWithSelector(UnknownJob.selector, 99));
    }

    function test_takeJob__delivered__reverts() public {
        _refuses(noel, _deliveredJob(), abi.encodeWithSelector(WrongStatus.selector, JobStatus.Delivered));
    }

    function test_takeJob__lease_still_runs__reverts() public {
        uint256 jobId = _leasedJob();
        uint256 from = _leaseEnd() + Settings.GRACE + 1;
        _refuses(noel, jobId, abi.encodeWithSelector(TooEarly.selector, from));
    }

    function test_takeJob__open_time_is_over__reverts() public {
        uint256 jobId = _handedBackJob();
        uint256 last = vm.getBlockTimestamp() + Settings.OPEN;
        skip(1 days);
        _refuses(noel, jobId, abi.encodeWithSelector(TooLate.selector, last));
    }

    function test_takeJob__lapsed_last_attempt__reverts() public {
        uint256 jobId = _lastAttempt();
        uint256 last = _leaseEnd() + Settings.GRACE;
        _lapse();
        _refuses(nina, jobId, abi.encodeWithSelector(TooLate.selector, last));
    }

    function test_takeJob__not_a_node__reverts() public {
        _refuses(mallory, _openJob(), abi.encodePacked(NodeNotEligible.selector));
    }

    function test_takeJob__not_joined__reverts() public {
        _refuses(nina, _openJob(), abi.encodePacked(NodeNotEligible.selector));
    }

    function test_takeJob__no_free_slot__reverts() public {
        uint256 jobId = _handedBackJob();
        vm.prank(noel);
        nodeRegistry.setSlots(0);
        _refuses(noel, jobId, abi.encodePacked(NodeNotEligible.selector));
    }

    function test_takeJob__short_of_stake__reverts() public {
        uint256 jobId = _handedBackJob();
        vm.prank(noel);
        coordinator.requestUnstake(STAKE - 10 * USAGE_ESCROW + 1);
        _refuses(noel, jobId, abi.encodePacked(NodeNotEligible.selector));
    }

    function test_takeJob__by_the_one_who_handed_it_back__reverts() public {
        _refuses(nina, _handedBackJob(), abi.encodePacked(SameNode.selector));
    }

    function test_takeJob__by_the_no_show_itself__reverts() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _refuses(nina, jobId, abi.encodePacked(SameNode.selector));
    }

    // ---------------------------------------------------------------- post-state
    function test_takeJob__never_held__leases_it() public {
        uint256 jobId = _openJob();
        _join(noel, LONELY);
        _expectEvent();
        emit JobLeased(jobId, noel, _leaseEnd());
        _take(noel, jobId);
        _assertHeldByNoel(jobId, 1);
        assertEq(coordinator.collectableFees(), 0);
    }

    function test_takeJob__handed_back__counts_an_attempt() public {
        uint256 jobId = _handedBackJob();
        bytes32 digest = _digestOf(jobId);
        _take(noel, jobId);
        _assertHeldByNoel(jobId, 2);
        assertEq(_digestOf(jobId), digest, "the request is frozen");
    }

    function test_takeJob__lapsed__punishes_the_holder_and_rewards_the_taker() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _expectEvent();
        emit NoShow(jobId, nina, USAGE_ESCROW);
        _expectEvent();
        emit SlotsChanged(nina, 0);
        _expectEvent();
        emit JobLeased(jobId, noel, _leaseEnd());
        _take(noel, jobId);

        _assertHeldByNoel(jobId, 2);
        Node memory n = _node(nina);
        assertEq(n.stake, STAKE - USAGE_ESCROW);
        assertEq(n.inFlight, 0);
        assertEq(n.escrowInFlight, 0);
        assertEq(n.slots, 0);
        assertTrue(n.suspended);
        assertEq(coordinator.credit(noel), Settings.REWARD_CAP);
        assertEq(coordinator.collectableFees(), USAGE_ESCROW - Settings.REWARD_CAP);
        assertEq(coordinator.credit(alice), CREDIT - USAGE_ESCROW, "no penalty goes to a requester");
    }

    function test_takeJob__requester_is_the_taker__gets_no_reward() public {
        _fund(noel, USAGE_ESCROW);
        vm.prank(noel);
        uint256 jobId = coordinator.submitPrompt(PROMPT, USAGE_ID, type(uint256).max, 255, nina);
        _lapse();
        _take(noel, jobId);
        assertEq(coordinator.credit(noel), 0);
        assertEq(coordinator.collectableFees(), USAGE_ESCROW);
        _assertSolvent();
    }

    function test_takeJob__two_turns_apart__may_be_the_same_node() public {
        uint256 jobId = _handedBackJob();
        _take(noel, jobId);
        _fail(noel, jobId, FailureCode.Busy);
        _take(nina, jobId);
        assertEq(coordinator.job(jobId).node, nina);
        assertEq(coordinator.job(jobId).attempts, 3);
    }

    // ---------------------------------------------------------------- helpers
    function _handedBackJob() private returns (uint256 jobId) {
        jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.Busy);
    }

    function _assertHeldByNoel(uint256 jobId, uint256 attempts) private view {
        Job memory j = coordinator.job(jobId);
        _assertStatus(jobId, JobStatus.Leased);
        assertEq(j.node, noel);
        assertEq(j.until, _leaseEnd());
        assertEq(j.attempts, attempts);
        assertEq(j.requester, alice);
        assertEq(_node(noel).inFlight, 1);
        assertEq(_node(noel).escrowInFlight, USAGE_ESCROW);
        _assertSolvent();
    }

    function _refuses(address who, uint256 jobId, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.takeJob(jobId);
    }
}
