// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract SubmitPromptWithCIDTest is NetworkTest {
    string private constant NEXT_CID = "bafybeinext";

    // ---------------------------------------------------------------- refusals
    function test_submitPromptWithCID__unknown_cid__reverts() public {
        _refuses(UnknownModel.selector, "bafybeiunknown");
        _refuses(UnknownModel.selector, "");
    }

    function test_submitPromptWithCID__other_spelling__reverts() public {
        _refuses(UnknownModel.selector, "BAFYBEIFLAT");
    }

    function test_submitPromptWithCID__publishers_model__reverts() public {
        _fund(petra, Settings.BOND);
        string memory id = string.concat(vm.toLowercase(vm.toString(petra)), "/model");
        vm.prank(petra);
        modelRegistry.publishModel(id, "bafybeipublished", "", "", Settings.flat());
        _refuses(UnknownModel.selector, "bafybeipublished");
    }

    function test_submitPromptWithCID__inactive_model__reverts() public {
        vm.prank(owner);
        modelRegistry.setModelActive(FLAT_ID, false);
        _refuses(UnknownModel.selector, FLAT_CID);
    }

    function test_submitPromptWithCID__announced_cid_before_its_time__reverts() public {
        _announceNext();
        skip(Settings.ANNOUNCE_DELAY - 1);
        _refuses(UnknownModel.selector, NEXT_CID);
    }

    function test_submitPromptWithCID__former_cid__reverts() public {
        _announceNext();
        skip(Settings.ANNOUNCE_DELAY);
        _refuses(UnknownModel.selector, FLAT_CID);
    }

    function test_submitPromptWithCID__empty_prompt__reverts() public {
        vm.expectRevert(InvalidCID.selector);
        vm.prank(alice);
        coordinator.submitPromptWithCID("", FLAT_CID);
    }

    function test_submitPromptWithCID__short_of_credit__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(InsufficientCredit.selector, 0, FLAT_ESCROW));
        vm.prank(mallory);
        coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
    }

    // ---------------------------------------------------------------- post-state
    function test_submitPromptWithCID__held_cid__is_that_models_job() public {
        uint256 until = vm.getBlockTimestamp() + Settings.OPEN;
        _expectEvent();
        emit InferenceRequested(1, alice, PROMPT, LONELY_ID, LONELY_CID);
        _expectEvent();
        emit JobOpened(1, until);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, LONELY_CID);

        assertEq(coordinator.job(jobId).version, LONELY);
        assertEq(coordinator.job(jobId).escrow, USAGE_ESCROW);
        assertEq(coordinator.credit(alice), CREDIT - USAGE_ESCROW);
        _assertSolvent();
    }

    function test_submitPromptWithCID__served_model__is_leased() public {
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        _assertStatus(jobId, JobStatus.Leased);
    }

    function test_submitPromptWithCID__announced_cid_in_its_time__is_the_new_version() public {
        _announceNext();
        skip(Settings.ANNOUNCE_DELAY);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, NEXT_CID);
        assertEq(coordinator.job(jobId).version, 4);
    }

    function test_submitPromptWithCID__announcement_waits__serves_the_old_cid() public {
        _announceNext();
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        assertEq(coordinator.job(jobId).version, FLAT);
    }

    /// @dev Whether or not a submit has written the switch that let it go.
    function testFuzz_submitPromptWithCID__cid_let_go_and_registered_anew__is_the_new_holders(bool isWritten) public {
        _announceNext();
        skip(Settings.ANNOUNCE_DELAY);
        if (isWritten) _submitTo(address(0), FLAT_ID);
        _registerModel("heir", FLAT_CID, Settings.flat());
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        assertEq(coordinator.job(jobId).version, 5);
    }

    // ---------------------------------------------------------------- helpers
    function _announceNext() private {
        vm.prank(owner);
        modelRegistry.updateModel(FLAT_ID, NEXT_CID);
    }

    function _refuses(bytes4 selector, string memory modelCID) private {
        vm.expectRevert(selector);
        vm.prank(alice);
        coordinator.submitPromptWithCID(PROMPT, modelCID);
    }
}
