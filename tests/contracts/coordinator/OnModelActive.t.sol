// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract OnModelActiveTest is NetworkTest {
    function test_onModelActive__by_another__reverts() public {
        vm.expectRevert(NotRegistry.selector);
        vm.prank(owner);
        coordinator.onModelActive(FLAT_ID, false);
    }

    function test_onModelActive__unknown_model__reverts() public {
        vm.expectRevert(UnknownModel.selector);
        _push("unknown", false);
    }

    function test_onModelActive__off__stops_new_submits_only() public {
        uint256 leased = _leasedJob();
        uint256 open = _openJob();
        _join(noel, LONELY);
        _push(USAGE_ID, false);
        _push(LONELY_ID, false);

        vm.expectRevert(ModelInactive.selector);
        vm.prank(alice);
        coordinator.submitPrompt(PROMPT, USAGE_ID);
        _take(noel, open);
        _deliver(nina, leased);
        _assertStatus(leased, JobStatus.Delivered);
        _assertStatus(open, JobStatus.Leased);
    }

    function test_onModelActive__on_again__takes_submits() public {
        _push(USAGE_ID, false);
        _push(USAGE_ID, true);
        _assertStatus(_leasedJob(), JobStatus.Leased);
    }

    function _push(string memory id, bool active) private {
        vm.prank(address(modelRegistry));
        coordinator.onModelActive(id, active);
    }
}
