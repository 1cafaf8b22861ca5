// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModelRegistry, ModelInfo} from "../../../contracts/interfaces/IModelRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract ModelViewsTest is NetworkTest {
    function test_getModel__unknown__reverts() public {
        vm.expectRevert(IModelRegistry.ModelUnknown.selector);
        modelRegistry.getModel("unknown");
        vm.expectRevert(IModelRegistry.ModelUnknown.selector);
        modelRegistry.publisherOf("unknown");
    }

    function test_modelRegistry__default__knows_its_coordinator_and_terms() public view {
        assertEq(modelRegistry.coordinator(), address(coordinator));
        assertEq(abi.encode(modelRegistry.defaultTerms()), abi.encode(Settings.flat()));
    }

    function test_getAllModels__in_the_order_of_registration() public view {
        string[] memory ids = modelRegistry.getAllModels();
        assertEq(ids.length, 3);
        assertEq(ids[0], FLAT_ID);
        assertEq(ids[2], LONELY_ID);
    }

    function test_getActiveModels__one_is_not__leaves_it_out() public {
        vm.prank(owner);
        modelRegistry.setModelActive(USAGE_ID, false);
        string[] memory ids = modelRegistry.getActiveModels();
        assertEq(ids.length, 2);
        assertEq(ids[0], FLAT_ID);
        assertEq(ids[1], LONELY_ID);
        assertEq(modelRegistry.getAllModels().length, 3);
    }

    function test_models__pages__are_disjoint_and_complete() public view {
        (string[] memory ids, ModelInfo[] memory infos) = modelRegistry.models(0, 2);
        assertEq(ids.length, 2);
        assertEq(infos[1].modelCID, USAGE_CID);
        (ids, infos) = modelRegistry.models(2, 2);
        assertEq(ids.length, 1);
        assertEq(ids[0], LONELY_ID);
        assertEq(infos[0].modelCID, LONELY_CID);
    }

    function test_models__beyond_the_end__is_empty() public view {
        (string[] memory ids, ModelInfo[] memory infos) = modelRegistry.models(3, 100);
        assertEq(ids.length + infos.length, 0);
        (ids,) = modelRegistry.models(type(uint256).max, type(uint256).max);
        assertEq(ids.length, 0);
    }

    function test_models__more_than_a_page__is_cut_at_100() public {
        for (uint256 i; i < 98; ++i) {
            _registerModel(vm.toString(i), vm.toString(i), Settings.flat());
        }
        (string[] memory ids,) = modelRegistry.models(0, 1_000);
        assertEq(ids.length, 100);
        assertEq(modelRegistry.modelCount(), 101);
    }
}
