// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract RequestUnstakeTest is NetworkTest {
    function test_requestUnstake__not_a_node__reverts() public {
        _refuses(mallory, 1, abi.encodePacked(NotNode.selector));
    }

    function test_requestUnstake__zero__reverts() public {
        _refuses(nina, 0, abi.encodePacked(AmountIsZero.selector));
    }

    function test_requestUnstake__promised_to_stay__reverts() public {
        uint64 until = uint64(vm.getBlockTimestamp() + 7 days);
        vm.prank(nina);
        coordinator.lockStake(until);
        _refuses(nina, 1, abi.encodeWithSelector(TooEarly.selector, until));
    }

    function test_requestUnstake__more_than_all__reverts() public {
        _refuses(nina, STAKE + 1, abi.encodeWithSelector(InsufficientStake.selector, STAKE, STAKE + 1));
    }

    function test_requestUnstake__behind_a_lease__reverts() public {
        _leasedJob();
        _assertLocked(10 * USAGE_ESCROW);
    }

    function test_requestUnstake__behind_earnings_not_final__reverts() public {
        _deliveredJob();
        _assertLocked(10 * USAGE_FLAT_PRICE);
        skip(Settings.EPOCH);
        _assertLocked(10 * USAGE_FLAT_PRICE);
    }

    function test_requestUnstake__earnings_final_but_not_settled__is_free() public {
        _deliveredJob();
        _mature();
        _request(STAKE);
        assertEq(_node(nina).stake, 0);
    }

    function testFuzz_requestUnstake__up_to_all__cools_down(uint256 amount) public {
        amount = bound(amount, 1, STAKE);
        uint256 until = vm.getBlockTimestamp() + Settings.COOL_DOWN;
        _expectEvent();
        emit UnstakeRequested(nina, amount, until);
        _request(amount);

        Node memory n = _node(nina);
        assertEq(n.stake, STAKE - amount);
        assertEq(n.cooling, amount);
        assertEq(n.coolingUntil, until);
        assertEq(token.balanceOf(nina), 0);
        _assertSolvent();
    }

    function test_requestUnstake__again__adds_up_and_restarts_the_clock() public {
        _request(1 ether);
        skip(Settings.COOL_DOWN - 1);
        _request(2 ether);
        assertEq(_node(nina).cooling, 3 ether);
        assertEq(_node(nina).coolingUntil, vm.getBlockTimestamp() + Settings.COOL_DOWN);
    }

    function test_requestUnstake__all_but_a_little__takes_the_node_out_of_the_draw() public {
        _request(STAKE - 1 ether);
        assertFalse(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
        assertFalse(coordinator.isEligible(nina, FLAT, FLAT_ESCROW));
    }

    function _assertLocked(uint256 locked) private {
        assertEq(_node(nina).locked, locked);
        uint256 free = STAKE - locked;
        _refuses(nina, free + 1, abi.encodeWithSelector(InsufficientStake.selector, free, free + 1));
    }

    function _request(uint256 amount) private {
        vm.prank(nina);
        coordinator.requestUnstake(amount);
    }

    function _refuses(address who, uint256 amount, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(who);
        coordinator.requestUnstake(amount);
    }
}
