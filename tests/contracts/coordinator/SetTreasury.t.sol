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

    function test_setTreasury__nobody__reverts() public {
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(owner);
        coordinator.setTreasury(address(0));
    }

    function test_setTreasury__another__is_the_treasury() public {
        _expectEvent();
        emit TreasuryChanged(mallory);
        vm.prank(owner);
        coordinator.setTreasury(mallory);
        assertEq(coordinator.treasury(), mallory);
    }
}
