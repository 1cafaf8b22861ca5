// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract SetPublisherBondTest is NetworkTest {
    function test_setPublisherBond__by_another__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, petra));
        vm.prank(petra);
        coordinator.setPublisherBond(0);
    }

    function test_setPublisherBond__more_than_96_bits__reverts() public {
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(owner);
        coordinator.setPublisherBond(uint256(1) << 96);
    }

    function test_setPublisherBond__any_amount__is_the_bond_of_later_models() public {
        assertEq(coordinator.publisherBond(), Settings.BOND);
        _expectEvent();
        emit PublisherBondChanged(type(uint96).max);
        vm.prank(owner);
        coordinator.setPublisherBond(type(uint96).max);
        assertEq(coordinator.publisherBond(), type(uint96).max);
    }
}
