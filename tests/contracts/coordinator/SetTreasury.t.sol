// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

contract SetTreasuryTest is NetworkTest {
    function test_setTreasury__by_another__reverts() public {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, treasury));
        vm.prank(treasury);
        coordinator.setTreasury(mallory);
    }

    function test_setTreasury__from_which_nothing_comes_back__reverts() public {
        vm.startPrank(owner);
        vm.expectRevert(OutOfBounds.selector);
        coordinator.setTreasury(address(0));
        vm.expectRevert(OutOfBounds.selector);
        coordinator.setTreasury(address(coordinator));
        vm.stopPrank();
    }

    function test_setTreasury__another__is_the_treasury() public {
        _expectEvent();
        emit TreasuryChanged(mallory);
        vm.prank(owner);
        coordinator.setTreasury(mallory);
        assertEq(coordinator.treasury(), mallory);
    }
}
