// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {FailureCode, JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev A pause stops new submits and takes, and nothing else: every other call of the coordinator is made below.
contract SetNewWorkPausedTest is NetworkTest {
    function test_setNewWorkPaused__by_another__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, mallory));
        vm.prank(mallory);
        coordinator.setNewWorkPaused(true);
    }

    function test_setNewWorkPaused__on_and_off__is_told() public {
        _expectEvent();
        emit NewWorkPaused(true);
        _pause(true);
        assertTrue(coordinator.newWorkPaused());
        _expectEvent();
        emit NewWorkPaused(false);
        _pause(false);
        assertFalse(coordinator.newWorkPaused());
    }

    // ---------------------------------------------------------------- what it stops
    function test_paused__submits_and_takes__revert() public {
        uint256 jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.Busy);
        _pause(true);

        vm.startPrank(alice);
        vm.expectRevert(NewWorkIsPaused.selector);
        coordinator.submitPrompt(PROMPT, FLAT_ID);
        vm.expectRevert(NewWorkIsPaused.selector);
        coordinator.submitPrompt(PROMPT, FLAT_ID, type(uint256).max, 255, nina);
        vm.expectRevert(NewWorkIsPaused.selector);
        coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        vm.stopPrank();

        vm.expectRevert(NewWorkIsPaused.selector);
        vm.prank(noel);
        coordinator.takeJob(jobId);
    }

    function test_unpaused__submits_and_takes__work_again() public {
        _pause(true);
        _pause(false);
        uint256 jobId = _leasedJob();
        _fail(nina, jobId, FailureCode.Busy);
        _take(noel, jobId);
        _assertStatus(jobId, JobStatus.Leased);
    }

    // ---------------------------------------------------------------- what it leaves alone
    function test_paused__endings_of_jobs__go_on() public {
        (uint256 delivered, uint256 failed, uint256 lapsed) = (_leasedJob(), _leasedJob(), _leasedJob());
        (uint256 cancelled, uint256 expired) = (_openJob(), _openJob());
        _pause(true);

        _deliver(nina, delivered);
        _fail(nina, failed, FailureCode.ContentMissing);
        vm.prank(alice);
        coordinator.cancelJob(cancelled);
        skip(1 days);
        coordinator.expireJob(expired);
        coordinator.expireJob(lapsed);

        _assertStatus(delivered, JobStatus.Delivered);
        _assertStatus(failed, JobStatus.Failed);
        _assertStatus(cancelled, JobStatus.Cancelled);
        _assertStatus(expired, JobStatus.Expired);
        _assertStatus(lapsed, JobStatus.Expired);
    }

    function test_paused__handing_back__goes_on() public {
        uint256 jobId = _leasedJob();
        _pause(true);
        _fail(nina, jobId, FailureCode.Busy);
        _assertStatus(jobId, JobStatus.Open);
    }

    function test_paused__money__goes_in_and_out() public {
        _deliveredJob();
        _pause(true);
        _fund(bob, 1 ether);
        vm.prank(alice);
        coordinator.withdraw(1 ether);
        vm.prank(alice);
        coordinator.withdrawTo(bob, 1 ether);
        _mature();
        coordinator.settle(nina);
        coordinator.collectFees();
        assertEq(token.balanceOf(alice), 1 ether);
        assertEq(token.balanceOf(bob), 1 ether);
        assertGt(coordinator.credit(paula), 0);
        assertGt(token.balanceOf(treasury), 0);
    }

    function test_paused__stake_and_duty__go_on() public {
        uint256 lapsed = _leasedJob();
        _pause(true);
        skip(1 days);
        coordinator.expireJob(lapsed);
        _stake(nina, 1 ether);
        vm.startPrank(nina);
        coordinator.resume();
        coordinator.requestUnstake(1 ether);
        coordinator.joinVersion(LONELY, 32);
        coordinator.leaveVersion(LONELY, 32);
        coordinator.lockStake(uint64(vm.getBlockTimestamp() + 1 days));
        skip(Settings.COOL_DOWN);
        coordinator.withdrawStake();
        vm.stopPrank();
        assertEq(token.balanceOf(nina), 1 ether);
    }

    function test_paused__registries__go_on() public {
        _pause(true);
        _registerModel("another", "bafyanother", Settings.flat());
        _registerNode(nora, address(0));
        _stake(nora, Settings.UNIT);
        _join(nora, 4);
        vm.prank(nora);
        nodeRegistry.deregisterNode();
        assertEq(coordinator.pruneEntries(nora, 4, 9), 1);
    }

    function _pause(bool paused) private {
        vm.prank(owner);
        coordinator.setNewWorkPaused(paused);
    }
}
