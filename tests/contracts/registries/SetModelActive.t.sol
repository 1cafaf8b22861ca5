// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract SetModelActiveTest is NetworkTest {
    function test_setModelActive__unknown__reverts() public {
        _refuses(owner, "unknown", false, abi.encodePacked(IModelRegistry.ModelUnknown.selector));
    }

    function test_setModelActive__by_another__reverts() public {
        bytes memory reason = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, mallory);
        _refuses(mallory, FLAT_ID, false, reason);
    }

    function test_setModelActive__publishers_model_by_the_owner__reverts() public {
        string memory id = string.concat(vm.toLowercase(vm.toString(petra)), "/m");
        _fund(petra, Settings.BOND);
        vm.prank(petra);
        modelRegistry.publishModel(id, "bafypetra", "", "", Settings.flat());
        _refuses(owner, id, false, abi.encodePacked(IModelRegistry.NotPublisher.selector));
    }

    function test_setModelActive__as_it_is__reverts() public {
        _refuses(owner, FLAT_ID, true, abi.encodePacked(IModelRegistry.ActivityUnchanged.selector));
    }

    function test_setModelActive__off_and_on__is_told_and_pushed() public {
        vm.expectEmit(address(modelRegistry));
        emit IModelRegistry.ModelActivityChanged(FLAT_ID, false);
        _set(owner, FLAT_ID, false);
        assertFalse(modelRegistry.getModel(FLAT_ID).isActive);
        assertEq(modelRegistry.getActiveModels().length, 2);
        vm.expectRevert(ModelInactive.selector);
        vm.prank(alice);
        coordinator.submitPrompt(PROMPT, FLAT_ID);

        _set(owner, FLAT_ID, true);
        assertTrue(modelRegistry.getModel(FLAT_ID).isActive);
        assertGt(_submitTo(nina, FLAT_ID), 0);
    }

    function test_setModelActive__off_while_an_announcement_waits__stays_off() public {
        vm.prank(owner);
        modelRegistry.updateModel(FLAT_ID, "bafybeinext");
        _set(owner, FLAT_ID, false);
        skip(Settings.ANNOUNCE_DELAY);
        vm.expectRevert(ModelInactive.selector);
        vm.prank(alice);
        coordinator.submitPrompt(PROMPT, FLAT_ID);
    }

    function _set(address who, string memory id, bool active) private {
        vm.prank(who);
        modelRegistry.setModelActive(id, active);
    }

    function _refuses(address who, string memory id, bool active, bytes memory reason) private {
        vm.expectRevert(reason);
        _set(who, id, active);
    }
}
