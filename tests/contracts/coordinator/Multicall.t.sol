// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Signing} from "../support/Signing.sol";

contract MulticallTest is Signing {
    bytes private submitFlat = abi.encodeWithSignature("submitPrompt(string,string)", PROMPT, FLAT_ID);

    function test_multicall__nested__reverts() public {
        bytes[] memory inner = new bytes[](0);
        vm.expectRevert(NestedMulticall.selector);
        vm.prank(alice);
        coordinator.multicall(_one(abi.encodeCall(coordinator.multicall, (inner))));
    }

    function test_multicall__a_call_fails__reverts_all_with_its_reason() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(coordinator.withdraw, (1 ether));
        calls[1] = abi.encodeCall(coordinator.withdraw, (CREDIT));
        vm.expectRevert(abi.encodeWithSelector(InsufficientCredit.selector, CREDIT - 1 ether, CREDIT));
        vm.prank(alice);
        coordinator.multicall(calls);
        assertEq(token.balanceOf(alice), 0);
    }

    function test_multicall__unknown_function__reverts() public {
        vm.expectRevert(bytes(""));
        vm.prank(alice);
        coordinator.multicall(_one(abi.encodeWithSignature("noSuchFunction()")));
    }

    function test_multicall__with_ether__reverts() public {
        vm.deal(alice, 1 ether);
        vm.prank(alice);
        (bool ok,) = address(coordinator).call{value: 1}(abi.encodeCall(coordinator.multicall, (new bytes[](0))));
        assertFalse(ok);
    }

    function test_multicall__empty__does_nothing() public {
        assertEq(coordinator.multicall(new bytes[](0)).length, 0);
    }

    function test_multicall__permit_deposit_submit__is_one_transaction() public {
        Signature memory sig = _permit(1 ether, type(uint256).max);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(coordinator.depositWithPermit, (1 ether, type(uint256).max, sig.v, sig.r, sig.s));
        calls[1] = submitFlat;
        vm.prank(sam);
        bytes[] memory results = coordinator.multicall(calls);

        uint256 jobId = abi.decode(results[1], (uint256));
        assertEq(results[0].length, 0);
        assertEq(jobId, coordinator.jobCount());
        assertEq(coordinator.job(jobId).requester, sam);
        assertEq(coordinator.credit(sam), 0);
    }

    function test_multicall__office_function__acts_as_the_caller() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(coordinator.requestUnstake, (1 ether));
        calls[1] = abi.encodeCall(coordinator.settle, (nina));
        vm.prank(nina);
        coordinator.multicall(calls);
        assertEq(_node(nina).cooling, 1 ether);
    }

    function test_multicall__deliver_and_take__gives_both() public {
        uint256 lapsed = _submitTo(noel, USAGE_ID);
        skip(130);
        uint256 fresh = _leasedJob();
        skip(6); // past noel's grace
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeWithSignature("submitResponse(uint256,string)", fresh, ANSWER);
        calls[1] = abi.encodeCall(coordinator.takeJob, (lapsed));
        vm.prank(nina);
        coordinator.multicall(calls);

        _assertStatus(fresh, JobStatus.Delivered);
        _assertStatus(lapsed, JobStatus.Leased);
        assertEq(coordinator.job(lapsed).node, nina);
    }

    function _one(bytes memory call_) private pure returns (bytes[] memory calls) {
        calls = new bytes[](1);
        calls[0] = call_;
    }
}
