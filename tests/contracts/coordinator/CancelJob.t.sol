// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract CancelJobTest is NetworkTest {
    function test_cancelJob__unknown__reverts() public {
        _refuses(alice, 99, abi.encodeWithSelector(UnknownJob.selector, 99));
        _refuses(alice, 0, abi.encodeWithSelector(UnknownJob.selector, 0));
    }

    function test_cancelJob__leased__reverts() public {
        _refuses(alice, _leasedJob(), abi.encodeWithSelector(WrongStatus.selector, JobStatus.Leased));
    }

    function test_cancelJob__lapsed_lease__reverts() public {
        uint256 jobId = _leasedJob();
        _lapse();
        _refuses(alice, jobId, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Leased));
    }

    function test_cancelJob__delivered__reverts() public {
        _refuses(alice, _deliveredJob(), abi.encodeWithSelector(WrongStatus.selector, JobStatus.Delivered));
    }

    function test_cancelJob__twice__reverts() public {
        uint256 jobId = _openJob();
        _cancel(jobId);
        _refuses(alice, jobId, abi.encodeWithSelector(WrongStatus.selector, JobStatus.Cancelled));
        assertEq(coordinator.credit(alice), CREDIT);
    }

    function test_cancelJob__by_another__reverts() public {
        _refuses(bob, _openJob(), abi.encodePacked(NotRequester.selector));
    }

    function test_cancelJob__open__refunds_all() public {
        uint256 jobId = _openJob();
        skip(7);
        _expectEvent();
        emit JobCancelled(jobId, USAGE_ESCROW);
        _cancel(jobId);

        _assertStatus(jobId, JobStatus.Cancelled);
        assertEq(coordinator.job(jobId).until, vm.getBlockTimestamp());
        assertTrue(coordinator.job(jobId).isFinal);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(coordinator.collectableFees(), 0);
        _assertSolvent();
    }

    function test_cancelJob__after_its_open_time__refunds_all() public {
        uint256 jobId = _openJob();
        skip(1 days);
        _cancel(jobId);
        assertEq(coordinator.credit(alice), CREDIT);
    }

    function test_cancelJob__handed_back__refunds_all() public {
        uint256 jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.Busy);
        _cancel(jobId);
        assertEq(coordinator.credit(alice), CREDIT);
        assertEq(_node(nina).inFlight, 0);
        _assertSolvent();
    }

    function _cancel(uint256 jobId) private {
        vm.prank(alice);
        coordinator.cancelJob(jobId);
    }

    function _refuses(address who, uint256 jobId, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.cancelJob(jobId);
    }
}
