// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Both overloads; the one without terms keeps those of the latest version.
contract UpdateModelTest is NetworkTest {
    string private published;

    function setUp() public override {
        super.setUp();
        published = string.concat(vm.toLowercase(vm.toString(petra)), "/m");
        _fund(petra, Settings.BOND);
        vm.prank(petra);
        modelRegistry.publishModel(published, "bafypetra", "", "", Settings.usage());
    }

    function test_updateModel__unknown__reverts() public {
        _refuses(owner, "unknown", "cid", abi.encodePacked(IModelRegistry.ModelUnknown.selector));
    }

    function test_updateModel__owners_model_by_another__reverts() public {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, petra);
        _refuses(petra, FLAT_ID, "cid", reason);
    }

    function test_updateModel__publishers_model_by_the_owner__reverts() public {
        _refuses(owner, published, "cid", abi.encodePacked(IModelRegistry.NotPublisher.selector));
        _refuses(mallory, published, "cid", abi.encodePacked(IModelRegistry.NotPublisher.selector));
    }

    function test_updateModel__cid_of_another_model__reverts() public {
        _refuses(owner, FLAT_ID, USAGE_CID, abi.encodePacked(CIDTaken.selector));
    }

    function test_updateModel__owners__announces_with_the_same_terms() public {
        vm.expectEmit(address(modelRegistry));
        emit IModelRegistry.ModelUpdated(USAGE_ID, "next", 5);
        vm.prank(owner);
        modelRegistry.updateModel(USAGE_ID, "next");

        assertEq(modelRegistry.getModel(USAGE_ID).modelCID, "next", "what is announced is shown");
        assertEq(modelRegistry.modelCount(), 4);
        assertEq(abi.encode(coordinator.version(5).terms), abi.encode(Settings.usage()));
        (uint256 current, uint256 announced) = coordinator.currentVersion(USAGE_ID);
        assertEq(current, USAGE);
        assertEq(announced, 5);
    }

    function test_updateModel__new_terms__are_kept_by_the_next_update() public {
        Terms memory terms = Settings.usage();
        terms.openSeconds = 99;
        vm.startPrank(owner);
        modelRegistry.updateModel(USAGE_ID, "next", terms);
        modelRegistry.updateModel(USAGE_ID, "after");
        vm.stopPrank();
        assertEq(coordinator.version(5).terms.openSeconds, 99);
        assertEq(coordinator.version(6).terms.openSeconds, 99);
    }

    function test_updateModel__same_cid_new_terms__is_a_new_version() public {
        vm.prank(owner);
        modelRegistry.updateModel(FLAT_ID, FLAT_CID, Settings.usage());
        skip(Settings.ANNOUNCE_DELAY);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        assertEq(coordinator.job(jobId).version, 5);
        assertEq(coordinator.job(jobId).escrow, USAGE_ESCROW);
    }

    function test_updateModel__publishers__by_its_publisher() public {
        vm.prank(petra);
        modelRegistry.updateModel(published, "next");
        assertEq(modelRegistry.getModel(published).modelCID, "next");
        assertEq(modelRegistry.publisherOf(published), petra);
    }

    function _refuses(address who, string memory id, string memory cid, bytes memory reason) private {
        vm.startPrank(who);
        vm.expectRevert(reason);
        modelRegistry.updateModel(id, cid);
        vm.expectRevert(reason);
        modelRegistry.updateModel(id, cid, Settings.flat());
        vm.stopPrank();
    }
}
