// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {FailureCode} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev Coordinator and model registry each have an owner; both hand it over in two steps.
contract TransferOwnershipTest is NetworkTest {
    function test_transferOwnership__by_another__reverts() public {
        for (uint256 i; i < 2; ++i) {
            _expectUnauthorized(mallory);
            vm.prank(mallory);
            _owned(i).transferOwnership(mallory);
        }
    }

    function test_acceptOwnership__not_offered__reverts() public {
        for (uint256 i; i < 2; ++i) {
            _offer(_owned(i), alice);
            _expectUnauthorized(mallory);
            vm.prank(mallory);
            _owned(i).acceptOwnership();
        }
    }

    function test_transferOwnership__not_accepted__changes_nothing() public {
        for (uint256 i; i < 2; ++i) {
            _offer(_owned(i), alice);
            assertEq(_owned(i).owner(), owner);
            assertEq(_owned(i).pendingOwner(), alice);
        }
        _expectUnauthorized(alice);
        vm.prank(alice);
        coordinator.setNewWorkPaused(true);
    }

    function test_acceptOwnership__offered__moves_the_powers() public {
        for (uint256 i; i < 2; ++i) {
            _offer(_owned(i), alice);
            vm.prank(alice);
            _owned(i).acceptOwnership();
            assertEq(_owned(i).owner(), alice);
            assertEq(_owned(i).pendingOwner(), address(0));
        }
        _expectUnauthorized(owner);
        vm.prank(owner);
        coordinator.setNewWorkPaused(true);
        vm.prank(alice);
        coordinator.setNewWorkPaused(true);
        assertTrue(coordinator.newWorkPaused());
    }

    function test_renounceOwnership__by_the_owner__ends_the_powers_and_blocks_no_money() public {
        uint256 jobId = _leasedJob();
        for (uint256 i; i < 2; ++i) {
            vm.prank(owner);
            _owned(i).renounceOwnership();
            assertEq(_owned(i).owner(), address(0));
        }
        _expectUnauthorized(owner);
        vm.prank(owner);
        coordinator.setNewWorkPaused(true);

        _fail(nina, jobId, FailureCode.ContentMissing);
        coordinator.collectFees();
        assertEq(token.balanceOf(treasury), USAGE_ESCROW / 50);
        vm.startPrank(alice);
        coordinator.withdraw(coordinator.credit(alice));
        vm.stopPrank();
        _assertSolvent();
    }

    function _owned(uint256 i) private view returns (Ownable2Step) {
        return Ownable2Step(i == 0 ? address(coordinator) : address(modelRegistry));
    }

    function _offer(Ownable2Step owned, address to) private {
        vm.prank(owner);
        owned.transferOwnership(to);
    }

    function _expectUnauthorized(address who) private {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, who));
    }
}
