// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Terms, Version} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev What the model registry pushes. Its own rules are tested beside it.
contract OnVersionAnnouncedTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_onVersionAnnounced__by_another__reverts() public {
        address[3] memory others = [owner, mallory, address(nodeRegistry)];
        for (uint256 i; i < others.length; ++i) {
            vm.expectRevert(NotRegistry.selector);
            vm.prank(others[i]);
            coordinator.onVersionAnnounced("id", "cid", Settings.flat(), address(0));
        }
    }

    function test_onVersionAnnounced__id_of_a_wrong_length__reverts() public {
        _refuses("", "cid", Settings.flat(), InvalidModelId.selector);
        _refuses(string(new bytes(129)), "cid", Settings.flat(), InvalidModelId.selector);
    }

    function test_onVersionAnnounced__cid_of_a_wrong_length__reverts() public {
        _refuses("id", "", Settings.flat(), InvalidCID.selector);
        _refuses("id", string(new bytes(97)), Settings.flat(), InvalidCID.selector);
    }

    function test_onVersionAnnounced__terms_out_of_bounds__reverts() public {
        Terms[10] memory bad;
        for (uint256 i; i < bad.length; ++i) {
            bad[i] = Settings.usage();
        }
        (bad[0].maxFeeGwei, bad[0].flatFeeGwei) = (Settings.MIN_MAX_FEE - 1, 0);
        bad[1].maxFeeGwei = Settings.MAX_MAX_FEE + 1;
        bad[2].leaseSeconds = Settings.MIN_SECONDS - 1;
        bad[3].leaseSeconds = Settings.MAX_SECONDS + 1;
        bad[4].openSeconds = Settings.MIN_SECONDS - 1;
        bad[5].openSeconds = Settings.MAX_SECONDS + 1;
        bad[6].flatFeeGwei = bad[6].maxFeeGwei + 1;
        bad[7].maxInputTokens = 0;
        bad[8].maxOutputTokens = 0;
        bad[9].maxFeeGwei = 0;
        for (uint256 i; i < bad.length; ++i) {
            _refuses("id", "cid", bad[i], InvalidTerms.selector);
        }
    }

    function test_onVersionAnnounced__terms_at_the_bounds__are_accepted() public {
        uint48[2] memory fees = [Settings.MIN_MAX_FEE, Settings.MAX_MAX_FEE];
        uint16[2] memory times = [Settings.MIN_SECONDS, Settings.MAX_SECONDS];
        for (uint256 i; i < 2; ++i) {
            Terms memory t = Terms(0, 0, fees[i], fees[i], times[i], times[i], 1, 1);
            string memory id = vm.toString(i);
            assertEq(_announce(id, id, t), 4 + i);
        }
    }

    function test_onVersionAnnounced__cid_of_an_owners_model__reverts() public {
        _refuses("thief", FLAT_CID, Settings.flat(), CIDTaken.selector);
    }

    function test_onVersionAnnounced__cid_that_waits_for_an_owners_model__reverts() public {
        _announce(FLAT_ID, "bafybeinext", Settings.flat());
        _refuses("thief", "bafybeinext", Settings.flat(), CIDTaken.selector);
        _refuses("thief", FLAT_CID, Settings.flat(), CIDTaken.selector);
    }

    // ---------------------------------------------------------------- post-state
    function test_onVersionAnnounced__first__serves_at_once() public {
        Terms memory terms = Settings.usage();
        uint256 servesFrom = vm.getBlockTimestamp();
        _expectEvent();
        emit VersionAnnounced(4, "id", "cid", terms, servesFrom);
        assertEq(_announce("id", "cid", terms), 4);

        assertEq(coordinator.versionCount(), 4);
        Version memory v = coordinator.version(4);
        assertEq(v.modelId, "id");
        assertEq(v.modelCID, "cid");
        assertEq(keccak256(abi.encode(v.terms)), keccak256(abi.encode(terms)));
        assertEq(v.entries, 0);
        assertEq(v.servesFrom, servesFrom);
        _assertVersions("id", 4, 0);
    }

    function test_onVersionAnnounced__second__waits_for_the_delay() public {
        uint256 servesFrom = vm.getBlockTimestamp() + Settings.ANNOUNCE_DELAY;
        _expectEvent();
        emit VersionAnnounced(4, FLAT_ID, "next", Settings.usage(), servesFrom);
        _announce(FLAT_ID, "next", Settings.usage());
        _assertVersions(FLAT_ID, FLAT, 4);
        assertEq(coordinator.version(4).servesFrom, servesFrom);

        skip(Settings.ANNOUNCE_DELAY);
        _assertVersions(FLAT_ID, 4, 0);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, FLAT_ID);
        assertEq(coordinator.job(jobId).version, 4);
        _assertVersions(FLAT_ID, 4, 0);
    }

    function test_onVersionAnnounced__while_one_waits__replaces_it() public {
        _announce(FLAT_ID, "next", Settings.flat());
        skip(Settings.ANNOUNCE_DELAY - 1);
        _announce(FLAT_ID, "better", Settings.flat());
        _assertVersions(FLAT_ID, FLAT, 5);
        skip(1);
        _assertVersions(FLAT_ID, FLAT, 5);
        skip(Settings.ANNOUNCE_DELAY);
        _assertVersions(FLAT_ID, 5, 0);
    }

    function test_onVersionAnnounced__replaced_cid__is_free_again() public {
        _announce(FLAT_ID, "next", Settings.flat());
        _announce(FLAT_ID, "better", Settings.flat());
        assertEq(_announce("heir", "next", Settings.flat()), 6);
    }

    function test_onVersionAnnounced__after_an_unused_switch__keeps_the_switched() public {
        _announce(FLAT_ID, "next", Settings.flat());
        skip(Settings.ANNOUNCE_DELAY);
        _announce(FLAT_ID, "better", Settings.flat());
        _assertVersions(FLAT_ID, 4, 5);
    }

    function test_onVersionAnnounced__back_to_its_own_former_cid__is_accepted() public {
        _announce(FLAT_ID, "next", Settings.flat());
        skip(Settings.ANNOUNCE_DELAY);
        _announce(FLAT_ID, FLAT_CID, Settings.flat());
        skip(Settings.ANNOUNCE_DELAY);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        assertEq(coordinator.job(jobId).version, 5);
    }

    function test_onVersionAnnounced__job_in_flight__keeps_its_terms() public {
        uint256 jobId = _leasedJob();
        _announce(USAGE_ID, "next", Settings.flat());
        skip(100);
        _deliver(nina, jobId);
        assertEq(coordinator.job(jobId).version, USAGE);
        assertEq(coordinator.job(jobId).escrow, USAGE_ESCROW);
        assertEq(_node(nina).pendingEarnings, USAGE_FLAT_PRICE);
    }

    // ---------------------------------------------------------------- helpers
    function _announce(string memory id, string memory cid, Terms memory terms) private returns (uint256) {
        vm.prank(address(modelRegistry));
        return coordinator.onVersionAnnounced(id, cid, terms, address(0));
    }

    function _assertVersions(string memory id, uint256 current, uint256 announced) private view {
        (uint256 a, uint256 b) = coordinator.currentVersion(id);
        assertEq(a, current, "current");
        assertEq(b, announced, "announced");
    }

    function _refuses(string memory id, string memory cid, Terms memory terms, bytes4 selector) private {
        vm.expectRevert(selector);
        _announce(id, cid, terms);
    }
}
