// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, Job, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Settings} from "../support/Settings.sol";
import {ShortStakeTest} from "../support/ShortStakeTest.sol";

contract FailJobTest is ShortStakeTest {
    uint256 private constant CHARGE = USAGE_ESCROW / 50;

    // ---------------------------------------------------------------- refusals
    function test_failJob__unknown__reverts() public {
        _refuses(nina, 99, abi.encodeWithSelector(UnknownJob.selector, 99));
    }

    function test_failJob__open__reverts() public {
        _refuses(nina, _openJob(), abi.encodeWithSelector(WrongStatus.selector, JobStatus.Open));
    }

    function test_failJob__by_another__reverts() public {
        uint256 jobId = _leasedJob();
        _refuses(noel, jobId, abi.encodePacked(NotLeaseHolder.selector));
        _refuses(mallory, jobId, abi.encodePacked(NotLeaseHolder.selector));
    }

    function test_failJob__after_grace__reverts() public {
        uint256 jobId = _leasedJob();
        uint256 last = _leaseEnd() + Settings.GRACE;
        _lapse();
        _refuses(nina, jobId, abi.encodeWithSelector(TooLate.selector, last));
    }

    function test_failJob__twice__reverts() public {
        uint256 jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.ContentMissing);
        _refuses(nina, jobId, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Failed));
    }

    function test_failJob__no_such_code__reverts() public {
        uint256 jobId = _leasedJob();
        vm.prank(nina);
        (bool ok,) = address(coordinator).call(abi.encodeWithSignature("failJob(uint256,uint8)", jobId, 6));
        assertFalse(ok);
    }

    /// @dev As after a re-organisation that gave the number to another request.
    function test_failJob__digest_of_another_request__reverts() public {
        (uint256 jobId, bytes32 other) = (_leasedJob(), _digestOf(_leasedJob()));
        for (uint8 code; code <= uint8(type(FailureCode).max); ++code) {
            vm.expectRevert(WrongRequest.selector);
            vm.prank(nina);
            coordinator.failJob(jobId, FailureCode(code), other);
        }
        _assertStatus(jobId, JobStatus.Leased);
    }

    // ---------------------------------------------------------------- the node's reasons
    function test_failJob__busy__reopens_at_the_nodes_cost() public {
        _assertReopens(FailureCode.Busy);
    }

    function test_failJob__engine_failed__reopens_at_the_nodes_cost() public {
        _assertReopens(FailureCode.EngineFailed);
    }

    function test_failJob__busy_on_the_last_attempt__expires_with_a_full_refund() public {
        uint256 jobId = _lastAttempt();
        (uint256 stake, uint256 charged) = (_node(nina).stake, coordinator.collectableFees());
        address holder = coordinator.job(jobId).node;
        _expectEvent();
        emit JobHandedBack(jobId, holder, FailureCode.Busy, CHARGE);
        _expectEvent();
        emit JobExpired(jobId, USAGE_ESCROW);
        _fail(holder, jobId, FailureCode.Busy);

        _assertStatus(jobId, JobStatus.Expired);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(_node(holder).inFlight, 0);
        assertEq(coordinator.collectableFees(), charged + CHARGE);
        assertEq(_node(nina).stake + _node(noel).stake, 2 * STAKE - 4 * CHARGE);
        assertLe(_node(nina).stake, stake);
        _assertSolvent();
    }

    function test_failJob__stake_is_short__takes_what_is_there() public {
        uint256 jobId = _leasedJob();
        _burnStake(nina, CHARGE / 2);
        _expectEvent();
        emit JobHandedBack(jobId, nina, FailureCode.Busy, CHARGE / 2);
        _fail(nina, jobId, FailureCode.Busy);
        _assertStatus(jobId, JobStatus.Open);
        assertEq(_node(nina).stake, 0);
        assertEq(coordinator.collectableFees(), CHARGE / 2);
    }

    // ---------------------------------------------------------------- the content's reasons
    function test_failJob__content__ends_at_the_requesters_cost() public {
        FailureCode[4] memory codes = [
            FailureCode.ContentMissing, FailureCode.ContentTooLarge, FailureCode.ContentInvalid, FailureCode.KeyMissing
        ];
        for (uint256 i; i < codes.length; ++i) {
            uint256 credit = coordinator.credit(alice);
            uint256 jobId = _leasedJob();
            _expectEvent();
            emit JobFailed(jobId, nina, codes[i], USAGE_ESCROW - CHARGE);
            _fail(nina, jobId, codes[i]);

            _assertStatus(jobId, JobStatus.Failed);
            assertTrue(coordinator.job(jobId).isFinal);
            assertEq(coordinator.credit(alice), credit - CHARGE);
            assertEq(coordinator.collectableFees(), (i + 1) * CHARGE);
        }
        assertEq(_node(nina).stake, STAKE, "the node pays nothing");
        assertEq(_node(nina).inFlight, 0);
        assertEq(_node(nina).pendingEarnings, 0);
        assertEq(_node(nina).slots, SLOTS, "nor does it lose its duty");
        _assertSolvent();
    }

    function test_failJob__with_digest__ends_it_all_the_same() public {
        uint256 jobId = _leasedJob();
        bytes32 digest = _digestOf(jobId);
        _expectEvent();
        emit JobFailed(jobId, nina, FailureCode.ContentMissing, USAGE_ESCROW - CHARGE);
        vm.prank(nina);
        coordinator.failJob(jobId, FailureCode.ContentMissing, digest);
        _assertStatus(jobId, JobStatus.Failed);
        assertEq(coordinator.credit(alice), CREDIT - CHARGE);
        _assertSolvent();
    }

    function test_failJob__with_digest__reopens_it_all_the_same() public {
        uint256 jobId = _leasedJob();
        bytes32 digest = _digestOf(jobId);
        _expectEvent();
        emit JobHandedBack(jobId, nina, FailureCode.Busy, CHARGE);
        vm.prank(nina);
        coordinator.failJob(jobId, FailureCode.Busy, digest);
        _assertStatus(jobId, JobStatus.Open);
        assertEq(_node(nina).stake, STAKE - CHARGE);
        assertEq(_digestOf(jobId), digest, "its next holder needs it");
    }

    function testFuzz_failJob__content__charges_a_fiftieth(uint8 share) public {
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, USAGE_ID, type(uint256).max, share, nina);
        uint256 escrow = coordinator.job(jobId).escrow;
        _fail(nina, jobId, FailureCode.KeyMissing);
        assertEq(coordinator.collectableFees(), escrow / 50);
        assertEq(coordinator.credit(alice), CREDIT - escrow / 50);
        _assertSolvent();
    }

    // ---------------------------------------------------------------- helpers
    function _assertReopens(FailureCode code) private {
        uint256 jobId = _leasedJob();
        skip(30);
        uint256 until = vm.getBlockTimestamp() + Settings.OPEN;
        _expectEvent();
        emit JobHandedBack(jobId, nina, code, CHARGE);
        _expectEvent();
        emit JobOpened(jobId, until);
        _fail(nina, jobId, code);

        Job memory j = coordinator.job(jobId);
        _assertStatus(jobId, JobStatus.Open);
        assertEq(j.until, until);
        assertEq(j.attempts, 1);
        assertEq(j.node, nina, "the last holder stays known");
        assertEq(coordinator.credit(alice), CREDIT - USAGE_ESCROW, "nothing lost, nothing refunded");
        assertEq(coordinator.collectableFees(), CHARGE);
        Node memory n = _node(nina);
        assertEq(n.stake, STAKE - CHARGE);
        assertEq(n.inFlight, 0);
        assertEq(n.escrowInFlight, 0);
        assertEq(n.slots, SLOTS);
        assertFalse(n.suspended);
        _assertSolvent();
    }

    function _refuses(address who, uint256 jobId, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.failJob(jobId, FailureCode.Busy);
    }
}
