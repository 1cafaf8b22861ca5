// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev A job's digest against the vectors that the library and the SDK are held to as well.
contract RequestDigestTest is NetworkTest {
    string private constant VECTORS = "tests/vectors/digests.json";

    struct Case {
        uint256 jobId;
        address requester;
        string promptCID;
        string modelId;
        string modelCID;
        bytes32 requestDigest;
        string responseCID;
        uint256 price;
        bytes32 deliveredDigest;
    }

    function test_digests__of_the_vectors__follow_the_formula() public view {
        string memory json = vm.readFile(VECTORS);
        uint256 count;
        for (; vm.keyExistsJson(json, _key(count, "")); ++count) {
            Case memory c = _case(json, count);
            assertEq(_requestDigest(c.jobId, c.requester, c.promptCID, c.modelId, c.modelCID), c.requestDigest);
            assertEq(_deliveredDigest(c.requestDigest, c.responseCID, c.price), c.deliveredDigest);
        }
        assertGt(count, 2, "vectors were not found");
    }

    /// @dev Case 0 can happen on a fresh network, to the letter.
    function test_digests__of_a_real_job__are_the_vectors() public {
        Case memory c = _case(vm.readFile(VECTORS), 0);
        Terms memory terms = Settings.flat();
        (terms.maxFeeGwei, terms.flatFeeGwei) = (uint48(c.price / 1 gwei), uint48(c.price / 1 gwei));
        _registerModel(c.modelId, c.modelCID, terms);
        _join(nina, 4);
        _fund(c.requester, c.price);
        vm.prank(c.requester);
        assertEq(coordinator.submitPrompt(c.promptCID, c.modelId), c.jobId);
        assertEq(_digestOf(c.jobId), c.requestDigest);

        vm.prank(nina);
        coordinator.submitResponse(c.jobId, c.responseCID, c.requestDigest);
        assertEq(_digestOf(c.jobId), c.deliveredDigest);
    }

    /// @dev Case 2 has letters beyond ASCII in its model id, which the registry would refuse and the coordinator does not read.
    function test_digests__of_letters_beyond_ascii__are_the_vectors() public {
        Case memory c = _case(vm.readFile(VECTORS), 2);
        vm.prank(address(modelRegistry));
        coordinator.onVersionAnnounced(c.modelId, c.modelCID, Settings.flat(), address(0));
        _fund(c.requester, c.jobId * FLAT_ESCROW);
        vm.startPrank(c.requester);
        while (coordinator.jobCount() < c.jobId) {
            coordinator.submitPrompt(c.promptCID, c.modelId);
        }
        vm.stopPrank();
        assertEq(_digestOf(c.jobId), c.requestDigest);
    }

    function testFuzz_digests__any_prompt_and_answer__follow_the_formula(uint64 n, uint64 m, uint32 output) public {
        (string memory prompt, string memory answer) = (vm.toString(uint256(n)), vm.toString(uint256(m)));
        vm.prank(bob);
        uint256 jobId = coordinator.submitPrompt(prompt, USAGE_ID, type(uint256).max, 255, nina);
        bytes32 digest = _requestDigest(jobId, bob, prompt, USAGE_ID, USAGE_CID);
        assertEq(_digestOf(jobId), digest);

        vm.prank(nina);
        coordinator.submitResponse(jobId, answer, digest, 0, output);
        assertEq(_digestOf(jobId), _deliveredDigest(digest, answer, _node(nina).pendingEarnings));
    }

    // ---------------------------------------------------------------- helpers
    function _requestDigest(
        uint256 jobId,
        address requester,
        string memory promptCID,
        string memory modelId,
        string memory modelCID
    ) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                jobId, requester, keccak256(bytes(promptCID)), keccak256(bytes(modelId)), keccak256(bytes(modelCID))
            )
        );
    }

    function _deliveredDigest(bytes32 digest, string memory responseCID, uint256 price) private pure returns (bytes32) {
        return keccak256(abi.encode(digest, keccak256(bytes(responseCID)), price));
    }

    function _case(string memory json, uint256 i) private pure returns (Case memory c) {
        c.jobId = vm.parseUint(vm.parseJsonString(json, _key(i, ".job_id")));
        c.requester = vm.parseJsonAddress(json, _key(i, ".requester"));
        c.promptCID = vm.parseJsonString(json, _key(i, ".prompt_cid"));
        c.modelId = vm.parseJsonString(json, _key(i, ".model_id"));
        c.modelCID = vm.parseJsonString(json, _key(i, ".model_cid"));
        c.requestDigest = vm.parseJsonBytes32(json, _key(i, ".request_digest"));
        c.responseCID = vm.parseJsonString(json, _key(i, ".response_cid"));
        c.price = vm.parseUint(vm.parseJsonString(json, _key(i, ".price_wei")));
        c.deliveredDigest = vm.parseJsonBytes32(json, _key(i, ".delivered_digest"));
    }

    function _key(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]", field);
    }
}
