// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract PublishModelTest is NetworkTest {
    string private prefix;
    string private id;

    function setUp() public override {
        super.setUp();
        prefix = vm.toLowercase(vm.toString(petra));
        id = string.concat(prefix, "/m");
        _fund(petra, Settings.BOND);
    }

    // ---------------------------------------------------------------- refusals
    function test_publishModel__id_outside_the_own_prefix__reverts() public {
        string[7] memory bad = [
            "model",
            prefix,
            string.concat(prefix, "/"),
            string.concat(prefix, "-m"),
            string.concat(vm.toString(petra), "/m"), // checksum spelling
            string.concat(vm.toLowercase(vm.toString(mallory)), "/m"),
            string.concat(prefix, "/a b")
        ];
        for (uint256 i; i < bad.length; ++i) {
            _refuses(bad[i], "cid", abi.encodePacked(IModelRegistry.InvalidId.selector));
        }
    }

    function test_publishModel__id_too_long__reverts() public {
        string memory long = string.concat(id, string(abi.encode(0)), string(abi.encode(0)), string(abi.encode(0)));
        _refuses(long, "cid", abi.encodePacked(IModelRegistry.InvalidId.selector));
    }

    function test_publishModel__twice__reverts() public {
        _publish(id, "cid");
        _refuses(id, "other", abi.encodePacked(IModelRegistry.ModelExists.selector));
    }

    function test_publishModel__no_bond_in_credit__reverts() public {
        vm.prank(petra);
        coordinator.withdraw(1);
        _refuses(id, "cid", abi.encodeWithSelector(InsufficientCredit.selector, Settings.BOND - 1, Settings.BOND));
    }

    function test_publishModel__empty_cid__reverts() public {
        _refuses(id, "", abi.encodePacked(InvalidCID.selector));
    }

    // ---------------------------------------------------------------- post-state
    function test_publishModel__own_prefix__is_listed_bonded_and_serves() public {
        vm.expectEmit(address(modelRegistry));
        emit IModelRegistry.ModelRegistered(id, "cid", "name", petra);
        _expectEvent();
        emit PublisherBondTaken(id, petra, Settings.BOND);
        _publish(id, "cid");

        assertEq(modelRegistry.publisherOf(id), petra);
        assertTrue(modelRegistry.getModel(id).isActive);
        assertEq(coordinator.credit(petra), 0);
        (address publisher, uint256 bond, uint256 from) = coordinator.bondOf(id);
        assertEq(publisher, petra);
        assertEq(bond, Settings.BOND);
        assertEq(from, 0);
        _assertStatus(_submitTo(address(0), id), JobStatus.Open);
        _assertSolvent();
    }

    function test_publishModel__cid_of_an_owners_model__takes_nothing_from_it() public {
        _publish(id, FLAT_CID);
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, FLAT_CID);
        assertEq(coordinator.job(jobId).version, FLAT);
    }

    function test_publishModel__cid_first_published__does_not_block_the_owner() public {
        _publish(id, "cid");
        _registerModel("late", "cid", Settings.flat());
        vm.prank(alice);
        uint256 jobId = coordinator.submitPromptWithCID(PROMPT, "cid");
        assertEq(coordinator.job(jobId).version, 5);
    }

    function test_publishModel__bond_is_zero__needs_no_credit() public {
        vm.prank(owner);
        coordinator.setPublisherBond(0);
        string memory hers = string.concat(vm.toLowercase(vm.toString(mallory)), "/m");
        vm.prank(mallory);
        modelRegistry.publishModel(hers, "cid", "", "", Settings.flat());
        assertEq(modelRegistry.publisherOf(hers), mallory);
    }

    // ---------------------------------------------------------------- helpers
    function _publish(string memory modelId, string memory cid) private {
        vm.prank(petra);
        modelRegistry.publishModel(modelId, cid, "name", "", Settings.flat());
    }

    function _refuses(string memory modelId, string memory cid, bytes memory reason) private {
        vm.expectRevert(reason);
        _publish(modelId, cid);
    }
}
