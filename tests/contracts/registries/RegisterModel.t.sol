// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRegistry, ModelInfo} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Both overloads; the one without terms uses the deployment's default.
contract RegisterModelTest is NetworkTest {
    // ---------------------------------------------------------------- refusals
    function test_registerModel__by_another__reverts() public {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, mallory);
        vm.startPrank(mallory);
        vm.expectRevert(reason);
        modelRegistry.registerModel("id", "cid", "", "");
        vm.expectRevert(reason);
        modelRegistry.registerModel("id", "cid", "", "", Settings.flat());
        vm.stopPrank();
    }

    function test_registerModel__id_that_is_no_owners__reverts() public {
        string[7] memory bad =
            ["", "0x", "0xabc/model", "two words", string(hex"c3a9"), string(hex"7f"), _filled(129)];
        for (uint256 i; i < bad.length; ++i) {
            _refuses(bad[i], "cid", "", "", IModelRegistry.InvalidId.selector);
        }
    }

    function test_registerModel__known_id__reverts() public {
        _refuses(FLAT_ID, "cid", "", "", IModelRegistry.ModelExists.selector);
    }

    function test_registerModel__text_too_long__reverts() public {
        _refuses("id", "cid", _filled(129), "", IModelRegistry.TextTooLong.selector);
        _refuses("id", "cid", "", _filled(2_049), IModelRegistry.TextTooLong.selector);
    }

    function test_registerModel__cid_of_another_model__reverts() public {
        _refuses("id", FLAT_CID, "", "", CIDTaken.selector);
    }

    function test_registerModel__cid_of_an_inactive_model__reverts() public {
        vm.prank(owner);
        modelRegistry.setModelActive(FLAT_ID, false);
        _refuses("id", FLAT_CID, "", "", CIDTaken.selector);
    }

    function test_registerModel__empty_cid__reverts() public {
        _refuses("id", "", "", "", InvalidCID.selector);
    }

    function test_registerModel__bad_terms__reverts() public {
        Terms memory terms = Settings.flat();
        terms.maxOutputTokens = 0;
        vm.expectRevert(InvalidTerms.selector);
        vm.prank(owner);
        modelRegistry.registerModel("id", "cid", "", "", terms);
    }

    // ---------------------------------------------------------------- post-state
    function test_registerModel__default_terms__is_listed_and_serves() public {
        vm.expectEmit(address(modelRegistry));
        emit IModelRegistry.ModelRegistered("id", "cid", "A name", address(0));
        vm.prank(owner);
        modelRegistry.registerModel("id", "cid", "A name", "What it is");

        ModelInfo memory m = modelRegistry.getModel("id");
        assertEq(m.modelCID, "cid");
        assertEq(m.name, "A name");
        assertEq(m.description, "What it is");
        assertEq(m.timestamp, vm.getBlockTimestamp());
        assertTrue(m.isActive);
        assertEq(modelRegistry.publisherOf("id"), address(0));
        assertEq(modelRegistry.modelCount(), 4);
        assertEq(abi.encode(coordinator.version(4).terms), abi.encode(modelRegistry.defaultTerms()));
        (uint256 current,) = coordinator.currentVersion("id");
        assertEq(current, 4);
        (address publisher, uint256 bond,) = coordinator.bondOf("id");
        assertEq(publisher, address(0));
        assertEq(bond, 0);
    }

    function test_registerModel__own_terms__are_the_versions() public {
        Terms memory terms = Settings.usage();
        terms.leaseSeconds = 77;
        _registerModel("id", "cid", terms);
        assertEq(abi.encode(coordinator.version(4).terms), abi.encode(terms));
    }

    function test_registerModel__longest_texts__are_accepted() public {
        vm.prank(owner);
        modelRegistry.registerModel(_filled(128), _filled(96), _filled(128), _filled(2_048));
        assertEq(modelRegistry.getModel(_filled(128)).modelCID, _filled(96));
        assertEq(coordinator.version(4).modelId, _filled(128));
        assertEq(coordinator.version(4).modelCID, _filled(96));
    }

    function testFuzz_registerModel__any_cid__comes_back_to_the_letter(bytes32 seed, uint8 length) public {
        string memory cid = _text(seed, bound(length, 1, 96));
        _registerModel("id", cid, Settings.flat());
        assertEq(coordinator.version(4).modelCID, cid);
        assertEq(coordinator.version(4).modelId, "id");
        vm.prank(alice);
        assertEq(coordinator.job(coordinator.submitPromptWithCID(PROMPT, cid)).version, 4);
    }

    // ---------------------------------------------------------------- helpers
    function _text(bytes32 seed, uint256 length) private pure returns (string memory) {
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = bytes1(uint8(0x61 + uint256(keccak256(abi.encode(seed, i))) % 26));
        }
        return string(text);
    }

    function _filled(uint256 length) private pure returns (string memory) {
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) {
            text[i] = "~"; // the last letter that is allowed
        }
        return string(text);
    }

    function _refuses(string memory id, string memory cid, string memory name, string memory text, bytes4 selector)
        private
    {
        vm.expectRevert(selector);
        vm.prank(owner);
        modelRegistry.registerModel(id, cid, name, text);
        assertEq(modelRegistry.modelCount(), 3);
    }
}
