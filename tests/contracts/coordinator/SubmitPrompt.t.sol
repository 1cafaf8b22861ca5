// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Job, JobStatus, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Both overloads; the two-argument call accepts any ceiling, escrows the whole maxFee and lets the draw decide.
contract SubmitPromptTest is NetworkTest {
    uint256 private constant ANY = type(uint256).max;

    // ---------------------------------------------------------------- refusals
    function test_submitPrompt__paused__reverts() public {
        vm.prank(owner);
        coordinator.setNewWorkPaused(true);
        _refuses(abi.encodePacked(NewWorkIsPaused.selector), PROMPT, FLAT_ID, ANY, 255, address(0));
    }

    function test_submitPrompt__prompt_cid_of_a_wrong_length__reverts() public {
        _refuses(abi.encodePacked(InvalidCID.selector), "", FLAT_ID, ANY, 255, address(0));
        _refuses(abi.encodePacked(InvalidCID.selector), string(new bytes(97)), FLAT_ID, ANY, 255, address(0));
    }

    function test_submitPrompt__model_id_of_a_wrong_length__reverts() public {
        _refuses(abi.encodePacked(InvalidModelId.selector), PROMPT, "", ANY, 255, address(0));
        _refuses(abi.encodePacked(InvalidModelId.selector), PROMPT, string(new bytes(129)), ANY, 255, address(0));
    }

    function test_submitPrompt__unknown_model__reverts() public {
        _refuses(abi.encodePacked(UnknownModel.selector), PROMPT, "no-model", ANY, 255, address(0));
    }

    function test_submitPrompt__inactive_model__reverts() public {
        vm.prank(owner);
        modelRegistry.setModelActive(FLAT_ID, false);
        _refuses(abi.encodePacked(ModelInactive.selector), PROMPT, FLAT_ID, ANY, 255, address(0));
    }

    function test_submitPrompt__dearer_than_the_ceiling__reverts() public {
        bytes memory reason = abi.encodeWithSelector(CeilingExceeded.selector, FLAT_ESCROW, FLAT_ESCROW - 1);
        _refuses(reason, PROMPT, FLAT_ID, FLAT_ESCROW - 1, 255, address(0));
    }

    function test_submitPrompt__share_below_the_flat_fee__reverts() public {
        uint256 escrow = uint256(Settings.FLAT_FEE) * 255 * 1 gwei / 256 / 1 gwei * 1 gwei;
        escrow += escrow * 256 / 255 < FLAT_ESCROW ? 1 gwei : 0;
        bytes memory reason = abi.encodeWithSelector(EscrowBelowFlatFee.selector, escrow, FLAT_ESCROW);
        _refuses(reason, PROMPT, FLAT_ID, ANY, 254, address(0));
    }

    function test_submitPrompt__short_of_credit__reverts() public {
        vm.prank(alice);
        coordinator.withdraw(CREDIT - USAGE_ESCROW + 1);
        bytes memory reason = abi.encodeWithSelector(InsufficientCredit.selector, USAGE_ESCROW - 1, USAGE_ESCROW);
        _refuses(reason, PROMPT, USAGE_ID, ANY, 255, address(0));
    }

    function test_submitPrompt__named_node_is_none__reverts() public {
        _refuses(abi.encodePacked(NodeNotEligible.selector), PROMPT, FLAT_ID, ANY, 255, mallory);
    }

    function test_submitPrompt__named_node_does_not_serve__reverts() public {
        _refuses(abi.encodePacked(NodeNotEligible.selector), PROMPT, LONELY_ID, ANY, 255, nina);
    }

    function test_submitPrompt__named_node_is_full__reverts() public {
        vm.prank(nina);
        nodeRegistry.setSlots(1);
        _leasedJob();
        _refuses(abi.encodePacked(NodeNotEligible.selector), PROMPT, USAGE_ID, ANY, 255, nina);
    }

    function test_submitPrompt__named_node_is_short_of_stake__reverts() public {
        vm.prank(nina);
        coordinator.requestUnstake(STAKE - 10 * USAGE_ESCROW + 1 ether);
        _refuses(abi.encodePacked(NodeNotEligible.selector), PROMPT, USAGE_ID, ANY, 255, nina);
    }

    // ---------------------------------------------------------------- post-state
    function test_submitPrompt__named_node__is_leased_to_it() public {
        uint256 until = _leaseEnd();
        _expectEvent();
        emit InferenceRequested(1, alice, PROMPT, USAGE_ID, USAGE_CID);
        _expectEvent();
        emit JobLeased(1, nina, until);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, USAGE_ID, USAGE_ESCROW, 255, nina);

        assertEq(jobId, 1);
        assertEq(coordinator.jobCount(), 1);
        Job memory j = coordinator.job(jobId);
        assertEq(j.requester, alice);
        assertEq(j.node, nina);
        assertEq(j.until, until);
        assertEq(j.version, USAGE);
        _assertStatus(jobId, JobStatus.Leased);
        assertEq(j.attempts, 1);
        assertEq(j.share, 255);
        assertFalse(j.isFinal);
        assertEq(j.escrow, USAGE_ESCROW);
        assertEq(coordinator.credit(alice), CREDIT - USAGE_ESCROW);
        assertEq(_node(nina).inFlight, 1);
        assertEq(_node(nina).escrowInFlight, USAGE_ESCROW);
        assertEq(_node(nina).locked, 10 * USAGE_ESCROW);
        assertEq(_node(noel).inFlight, 0);
        _assertSolvent();
    }

    function test_submitPrompt__nobody_serves__is_open() public {
        uint256 until = vm.getBlockTimestamp() + Settings.OPEN;
        _expectEvent();
        emit InferenceRequested(1, alice, PROMPT, LONELY_ID, LONELY_CID);
        _expectEvent();
        emit JobOpened(1, until);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, LONELY_ID);

        Job memory j = coordinator.job(jobId);
        assertEq(j.node, address(0));
        assertEq(j.until, until);
        assertEq(j.attempts, 0);
        assertEq(j.share, 255);
        _assertStatus(jobId, JobStatus.Open);
        assertEq(coordinator.credit(alice), CREDIT - USAGE_ESCROW);
        _assertSolvent();
    }

    function test_submitPrompt__two_arguments__draws_a_node() public {
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, FLAT_ID);
        address drawn = coordinator.job(jobId).node;
        assertTrue(drawn == nina || drawn == noel);
        assertEq(_node(drawn).inFlight, 1);
        assertEq(_node(nina).inFlight + _node(noel).inFlight, 1);
    }

    function test_submitPrompt__same_prompt_twice__is_two_jobs() public {
        (uint256 first, uint256 second) = (_openJob(), _openJob());
        assertEq(second, first + 1);
        assertNotEq(_digestOf(first), _digestOf(second));
        assertEq(coordinator.credit(alice), CREDIT - 2 * USAGE_ESCROW);
    }

    function test_submitPrompt__longest_strings__are_accepted() public {
        string memory id = _filled(128);
        string memory cid = _filled(96);
        Terms memory terms = Settings.flat();
        _registerModel(id, cid, terms);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(_filled(96), id);
        _assertStatus(jobId, JobStatus.Open);
    }

    function testFuzz_submitPrompt__any_share__escrows_its_part_rounded_up(uint48 maxFeeGwei, uint8 share) public {
        maxFeeGwei = uint48(bound(maxFeeGwei, Settings.MIN_MAX_FEE, Settings.MAX_MAX_FEE));
        Terms memory terms = Settings.usage();
        (terms.maxFeeGwei, terms.flatFeeGwei) = (maxFeeGwei, 0);
        _registerModel("fuzzed", "bafyfuzzed", terms);
        _fund(alice, uint256(maxFeeGwei) * 1 gwei);
        uint256 before = coordinator.credit(alice);

        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, "fuzzed", ANY, share, address(0));

        uint256 escrow = coordinator.job(jobId).escrow;
        uint256 exact = uint256(maxFeeGwei) * 1 gwei * (uint256(share) + 1); // 256 times the part
        assertGe(escrow * 256, exact);
        assertLt(escrow * 256, exact + 256 gwei);
        assertEq(escrow % 1 gwei, 0);
        assertEq(coordinator.credit(alice), before - escrow);
        assertEq(coordinator.job(jobId).share, share);
        _assertSolvent();
    }

    // ---------------------------------------------------------------- helpers
    function _refuses(
        bytes memory reason,
        string memory promptCID,
        string memory id,
        uint256 ceiling,
        uint8 share,
        address named
    ) private {
        uint256 before = coordinator.credit(alice);
        vm.expectRevert(reason);
        vm.prank(alice);
        coordinator.submitPrompt(promptCID, id, ceiling, share, named);
        assertEq(coordinator.credit(alice), before);
    }

    function _filled(uint256 length) private pure returns (string memory) {
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = "b";
        }
        return string(text);
    }
}
