// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";
import {FailureCode, Job, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev All three overloads. They share every rule but what they bill and whether they name the request.
contract SubmitResponseTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_submitResponse__unknown__reverts() public {
        _refuses(nina, 99, ANSWER, abi.encodeWithSelector(UnknownJob.selector, 99));
    }

    function test_submitResponse__open__reverts() public {
        _refuses(nina, _openJob(), ANSWER, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Open));
    }

    function test_submitResponse__cid_of_a_wrong_length__reverts() public {
        uint256 jobId = _leasedJob();
        _refuses(nina, jobId, "", abi.encodePacked(InvalidCID.selector));
        _refuses(nina, jobId, string(new bytes(97)), abi.encodePacked(InvalidCID.selector));
    }

    function test_submitResponse__by_anyone_but_the_holder__reverts() public {
        uint256 jobId = _leasedJob();
        address[4] memory others = [noel, mallory, alice, paula];
        for (uint256 i; i < others.length; ++i) {
            _refuses(others[i], jobId, ANSWER, abi.encodePacked(NotLeaseHolder.selector));
        }
    }

    function test_submitResponse__by_the_former_holder__reverts() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _take(noel, jobId);
        _refuses(nina, jobId, ANSWER, abi.encodePacked(NotLeaseHolder.selector));
    }

    function test_submitResponse__after_grace__reverts() public {
        uint256 jobId = _leasedJob();
        uint256 last = _leaseEnd() + Settings.GRACE;
        _lapse();
        _refuses(nina, jobId, ANSWER, abi.encodeWithSelector(TooLate.selector, last));
    }

    function test_submitResponse__twice__reverts_and_keeps_the_first() public {
        uint256 jobId = _deliveredJob();
        bytes32 digest = _digestOf(jobId);
        _refuses(nina, jobId, "bafkreiother", abi.encodeWithSelector(WrongStatus.selector, JobStatus.Delivered));
        assertEq(_digestOf(jobId), digest);
    }

    function test_submitResponse__after_a_refund__reverts() public {
        uint256 jobId = _leasedJob();
        skip(1 days);
        coordinator.expireJob(jobId);
        _refuses(nina, jobId, ANSWER, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Expired));
    }

    function test_submitResponse__digest_of_another_request__reverts() public {
        (uint256 jobId, bytes32 other) = (_leasedJob(), _digestOf(_leasedJob()));
        vm.expectRevert(WrongRequest.selector);
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, other);
        vm.expectRevert(WrongRequest.selector);
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, bytes32(0), 1, 1);
    }

    // ---------------------------------------------------------------- post-state
    function test_submitResponse__flat_job__costs_the_whole_escrow_and_tells_once() public {
        uint256 jobId = _submitTo(nina, FLAT_ID);
        vm.recordLogs();
        _deliver(nina, jobId);

        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 1, "nothing to settle");
        assertEq(logs[0].topics[0], InferenceCompleted.selector);
        assertEq(_node(nina).pendingEarnings, FLAT_ESCROW);
        assertEq(coordinator.credit(alice), CREDIT - FLAT_ESCROW);
        _assertSolvent();
    }

    function test_submitResponse__two_arguments__bills_the_flat_part() public {
        uint256 jobId = _leasedJob();
        _expectSettled(jobId, USAGE_FLAT_PRICE);
        _deliver(nina, jobId);
        _assertDelivered(jobId, USAGE_FLAT_PRICE);
    }

    function test_submitResponse__with_digest__bills_the_flat_part() public {
        uint256 jobId = _leasedJob();
        bytes32 digest = _digestOf(jobId);
        _expectSettled(jobId, USAGE_FLAT_PRICE);
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, digest);
        _assertDelivered(jobId, USAGE_FLAT_PRICE);
    }

    function test_submitResponse__with_usage__bills_it() public {
        uint256 jobId = _leasedJob();
        uint256 price =
            USAGE_FLAT_PRICE + (70 * uint256(Settings.INPUT_PRICE) + 30 * uint256(Settings.OUTPUT_PRICE)) * 1 gwei;
        _expectSettled(jobId, price);
        _deliverUsage(jobId, 70, 30);
        _assertDelivered(jobId, price);
    }

    function test_submitResponse__highest_counts__costs_the_escrow() public {
        uint256 jobId = _leasedJob();
        _deliverUsage(jobId, type(uint32).max, type(uint32).max);
        _assertDelivered(jobId, USAGE_ESCROW);
    }

    function testFuzz_submitResponse__any_usage__parts_add_up(uint32 input, uint32 output, uint8 share) public {
        share = uint8(bound(share, 0, 255));
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, USAGE_ID, type(uint256).max, share, nina);
        uint256 escrow = coordinator.job(jobId).escrow;
        _deliverUsage(jobId, input, output);

        uint256 price = _node(nina).pendingEarnings;
        uint256 asked = uint256(Settings.USAGE_FLAT_FEE) + uint256(input) * Settings.INPUT_PRICE + uint256(output)
            * Settings.OUTPUT_PRICE;
        assertEq(price, asked * 1 gwei < escrow ? asked * 1 gwei : escrow);
        assertEq(coordinator.credit(alice), CREDIT - price, "price and refund are the escrow");
        _assertSolvent();
    }

    // ---------------------------------------------------------------- never blocked
    function test_submitResponse__whatever_the_owner_does__is_accepted() public {
        uint256 jobId = _leasedJob();
        vm.startPrank(owner);
        coordinator.setNewWorkPaused(true);
        coordinator.scheduleFeeRate(1_000);
        modelRegistry.setModelActive(USAGE_ID, false);
        modelRegistry.updateModel(USAGE_ID, "bafybeiother", Settings.flat());
        vm.stopPrank();
        _deliver(nina, jobId);
        _assertDelivered(jobId, USAGE_FLAT_PRICE);
    }

    function test_submitResponse__node_left_everything__is_accepted() public {
        uint256 jobId = _leasedJob();
        vm.startPrank(nina);
        coordinator.leaveVersion(USAGE, 32);
        nodeRegistry.deregisterNode();
        vm.stopPrank();
        _deliver(nina, jobId);
        _assertDelivered(jobId, USAGE_FLAT_PRICE);
    }

    function test_submitResponse__suspended_for_another_job__is_accepted() public {
        uint256 lapsed = _leasedJob();
        skip(130);
        uint256 jobId = _leasedJob();
        skip(6);
        _take(noel, lapsed);
        assertTrue(_node(nina).suspended);
        _deliver(nina, jobId);
        _assertStatus(jobId, JobStatus.Delivered);
    }

    function test_submitResponse__after_a_takeover__pays_the_new_holder() public {
        uint256 jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.Busy);
        _take(noel, jobId);
        _deliver(noel, jobId);
        assertEq(_node(noel).pendingEarnings, USAGE_FLAT_PRICE);
        assertEq(_node(nina).pendingEarnings, 0);
        assertEq(coordinator.job(jobId).node, noel);
        _assertSolvent();
    }

    function test_submitResponse__earnings_of_before_are_final__credits_them() public {
        _deliveredJob();
        _mature();
        uint256 jobId = _leasedJob();
        uint256 fee = _fee(USAGE_FLAT_PRICE);
        _expectEvent();
        emit EarningsMatured(nina, paula, USAGE_FLAT_PRICE - fee, fee);
        _deliver(nina, jobId);
        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - fee);
        assertEq(_node(nina).pendingEarnings, USAGE_FLAT_PRICE);
    }

    // ---------------------------------------------------------------- helpers
    function _deliverUsage(uint256 jobId, uint32 input, uint32 output) private {
        bytes32 digest = _digestOf(jobId);
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, digest, input, output);
    }

    function _expectSettled(uint256 jobId, uint256 price) private {
        _expectEvent();
        emit JobSettled(jobId, price, USAGE_ESCROW - price);
        _expectEvent();
        emit InferenceCompleted(jobId, nina, ANSWER);
    }

    function _assertDelivered(uint256 jobId, uint256 price) private view {
        Job memory j = coordinator.job(jobId);
        _assertStatus(jobId, JobStatus.Delivered);
        assertEq(j.node, nina);
        assertEq(j.until, vm.getBlockTimestamp());
        assertEq(j.attempts, 1);
        assertFalse(j.isFinal);
        assertEq(coordinator.credit(alice), CREDIT - price);
        assertEq(coordinator.collectableFees(), 0);
        Node memory n = _node(nina);
        assertEq(n.inFlight, 0);
        assertEq(n.escrowInFlight, 0);
        assertEq(n.pendingEarnings, price);
        assertEq(n.locked, 10 * price);
        assertEq(n.stake, STAKE);
        assertEq(coordinator.credit(paula), 0, "nothing before it is final");
        _assertSolvent();
    }

    function _refuses(address who, uint256 jobId, string memory cid, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.submitResponse(jobId, cid);
    }
}
