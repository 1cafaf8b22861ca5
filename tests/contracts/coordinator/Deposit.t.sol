// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {FalseToken, FeeToken, GenerousToken, ReenteringToken} from "../mocks/HostileTokens.sol";
import {HostileTokenTest} from "../support/HostileTokenTest.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract DepositTest is NetworkTest {
    function test_deposit__zero__reverts() public {
        vm.expectRevert(AmountIsZero.selector);
        vm.prank(alice);
        coordinator.deposit(0);
    }

    function test_deposit__no_allowance__reverts() public {
        token.faucet(mallory, 1 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(coordinator), 0, 1 ether)
        );
        vm.prank(mallory);
        coordinator.deposit(1 ether);
    }

    function test_deposit__more_than_128_bits__reverts() public {
        _give(mallory, uint256(1) << 128);
        vm.expectRevert(OutOfBounds.selector);
        vm.prank(mallory);
        coordinator.deposit(uint256(1) << 128);
    }

    function testFuzz_deposit__any_amount__becomes_credit(uint256 amount) public {
        amount = bound(amount, 1, Settings.MAX_AMOUNT);
        _give(mallory, amount);
        uint256 held = token.balanceOf(address(coordinator));

        _expectEvent();
        emit Deposited(mallory, amount);
        vm.prank(mallory);
        coordinator.deposit(amount);

        assertEq(coordinator.credit(mallory), amount);
        assertEq(token.balanceOf(mallory), 0);
        assertEq(token.balanceOf(address(coordinator)), held + amount);
        _assertSolvent();
    }

    function test_deposit__twice__adds_up() public {
        _fund(alice, 3 ether);
        assertEq(coordinator.credit(alice), CREDIT + 3 ether);
    }

    function test_donation__changes_no_ledger() public {
        token.faucet(address(coordinator), 5 ether);
        _fund(mallory, 1 ether);
        assertEq(coordinator.credit(mallory), 1 ether);
        assertEq(coordinator.collectableFees(), 0);
    }
}

contract DepositOfHostileTokensTest is HostileTokenTest {
    function test_deposit__fee_on_transfer__reverts() public {
        _deployWith(new FeeToken());
        _refuses(abi.encodePacked(TransferMismatch.selector));
    }

    function test_deposit__more_arrives_than_was_sent__reverts() public {
        _deployWith(new GenerousToken());
        _refuses(abi.encodePacked(TransferMismatch.selector));
    }

    function test_deposit__token_returns_false__reverts() public {
        _deployWith(new FalseToken());
        _refuses(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
    }

    function test_deposit__token_reenters__reverts() public {
        ReenteringToken hostile = new ReenteringToken();
        _deployWith(hostile);
        bytes[5] memory calls = [
            abi.encodeCall(coordinator.deposit, (1)),
            abi.encodeCall(coordinator.withdraw, (1)),
            abi.encodeCall(coordinator.withdrawTo, (mallory, 1)),
            abi.encodeCall(coordinator.stake, (1)),
            abi.encodeCall(coordinator.collectFees, ())
        ];
        for (uint256 i; i < calls.length; ++i) {
            hostile.arm(address(coordinator), calls[i]);
            _refuses(abi.encodePacked(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector));
        }
    }

    function _refuses(bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(mallory);
        coordinator.deposit(1 ether);
        assertEq(coordinator.credit(mallory), 0);
    }
}
