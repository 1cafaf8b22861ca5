// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract ReturnBondTest is NetworkTest {
    string private id;

    function setUp() public override {
        super.setUp();
        id = string.concat(vm.toLowercase(vm.toString(petra)), "/model");
        _fund(petra, 2 * Settings.BOND);
        vm.prank(petra);
        modelRegistry.publishModel(id, "bafypetra", "", "", Settings.flat());
    }

    function test_returnBond__no_such_bond__reverts() public {
        _refuses("unknown", abi.encodePacked(NoBond.selector));
        _refuses(FLAT_ID, abi.encodePacked(NoBond.selector));
    }

    function test_returnBond__model_is_active__reverts() public {
        skip(365 days);
        _refuses(id, abi.encodePacked(NoBond.selector));
    }

    function test_returnBond__before_the_cool_down__reverts() public {
        _setActive(false);
        _refuses(id, abi.encodeWithSelector(TooEarly.selector, vm.getBlockTimestamp() + Settings.COOL_DOWN));
    }

    function test_returnBond__active_again_meanwhile__reverts() public {
        _setActive(false);
        skip(1 days);
        _setActive(true);
        skip(Settings.COOL_DOWN);
        _refuses(id, abi.encodePacked(NoBond.selector));
    }

    function test_returnBond__cooled_down__credits_the_publisher() public {
        _setActive(false);
        skip(Settings.COOL_DOWN);
        _expectEvent();
        emit PublisherBondReturned(id, petra, Settings.BOND);
        vm.prank(mallory);
        coordinator.returnBond(id);

        assertEq(coordinator.credit(petra), 2 * Settings.BOND);
        _assertBond(0, 0);
        _assertSolvent();
        _refuses(id, abi.encodePacked(NoBond.selector));
    }

    function test_returnBond__bond_was_raised_meanwhile__returns_what_was_taken() public {
        vm.prank(owner);
        coordinator.setPublisherBond(5 * Settings.BOND);
        _setActive(false);
        skip(Settings.COOL_DOWN);
        coordinator.returnBond(id);
        assertEq(coordinator.credit(petra), 2 * Settings.BOND);
    }

    function test_publisherBond__at_publication__leaves_the_credit() public view {
        assertEq(coordinator.credit(petra), Settings.BOND);
        _assertBond(Settings.BOND, 0);
        _assertSolvent();
    }

    function test_publisherBond__active_again_after_the_return__is_taken_anew() public {
        _setActive(false);
        skip(Settings.COOL_DOWN);
        coordinator.returnBond(id);
        _expectEvent();
        emit PublisherBondTaken(id, petra, Settings.BOND);
        _setActive(true);
        assertEq(coordinator.credit(petra), Settings.BOND);
        _assertBond(Settings.BOND, 0);
        _assertSolvent();
    }

    function test_publisherBond__active_again_without_credit__reverts() public {
        _setActive(false);
        skip(Settings.COOL_DOWN);
        coordinator.returnBond(id);
        vm.startPrank(petra);
        coordinator.withdraw(2 * Settings.BOND);
        vm.expectRevert(abi.encodeWithSelector(InsufficientCredit.selector, 0, Settings.BOND));
        modelRegistry.setModelActive(id, true);
        vm.stopPrank();
    }

    function test_publisherBond__of_an_inactive_model__has_its_time() public {
        _setActive(false);
        _assertBond(Settings.BOND, vm.getBlockTimestamp() + Settings.COOL_DOWN);
    }

    function test_publisherBond__new_version__takes_no_second_bond() public {
        vm.prank(petra);
        modelRegistry.updateModel(id, "bafypetra2");
        assertEq(coordinator.credit(petra), Settings.BOND);
        _assertBond(Settings.BOND, 0);
    }

    function _setActive(bool active) private {
        vm.prank(petra);
        modelRegistry.setModelActive(id, active);
    }

    function _assertBond(uint256 amount, uint256 from) private view {
        (address publisher, uint256 held, uint256 returnableFrom) = coordinator.bondOf(id);
        assertEq(publisher, petra);
        assertEq(held, amount);
        assertEq(returnableFrom, from);
    }

    function _refuses(string memory modelId, bytes memory reason) private {
        vm.expectRevert(reason);
        coordinator.returnBond(modelId);
    }
}
