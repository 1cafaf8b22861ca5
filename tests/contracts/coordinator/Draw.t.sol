// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Whom a submit without a named node is leased to, whatever the randomness.
contract DrawTest is NetworkTest {
    function testFuzz_draw__one_node_only__is_that_node(uint256 randomness) public {
        vm.prank(nina);
        coordinator.leaveVersion(USAGE, 99);
        assertEq(_drawn(randomness), noel);
    }

    function testFuzz_draw__single_entry__is_that_node(uint256 randomness) public {
        vm.startPrank(nina);
        coordinator.leaveVersion(USAGE, 99);
        vm.stopPrank();
        vm.prank(noel);
        coordinator.leaveVersion(USAGE, 1);
        assertEq(_drawn(randomness), noel);
    }

    /// @dev Wallets take an exact estimate of one draw as the gas limit of another.
    function testFuzz_draw__limit_that_sufficed_once__suffices_always(uint256 lucky, uint256 unlucky) public {
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        uint256 limit = _leastGas(lucky);
        vm.prevrandao(bytes32(unlucky));
        vm.prank(alice);
        coordinator.submitPrompt{gas: limit}(PROMPT, USAGE_ID);
    }

    /// @dev With one entry each, both are drawn every time, so the lighter one wins every time.
    function testFuzz_draw__two_entries__is_the_lighter(uint256 randomness) public {
        _leaveOneEntryEach();
        _leasedJob();
        assertEq(_drawn(randomness), noel);
        _submitTo(noel, USAGE_ID);
        _submitTo(noel, USAGE_ID);
        assertEq(_drawn(randomness), nina);
    }

    /// @dev One of eight slots in use is lighter than one of two.
    function testFuzz_draw__more_slots__counts_as_lighter(uint256 randomness) public {
        _leaveOneEntryEach();
        vm.prank(nina);
        nodeRegistry.setSlots(2);
        _submitTo(noel, USAGE_ID);
        _leasedJob();
        assertEq(_drawn(randomness), noel);
    }

    function testFuzz_draw__two_entries__passes_over_the_unfree(uint256 randomness) public {
        _leaveOneEntryEach();
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        assertEq(_drawn(randomness), noel);
    }

    function testFuzz_draw__nobody_free__is_open(uint256 randomness) public {
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        vm.prank(noel);
        nodeRegistry.setSlots(0);
        assertEq(_drawn(randomness), address(0));
        _assertStatus(1, JobStatus.Open);
    }

    /// @dev Two of ten entries are free: three rounds of two distinct ones find them, or nobody does.
    function testFuzz_draw__few_are_free__are_looked_for_in_three_rounds(uint256 randomness) public {
        _stake(nina, 6 * Settings.UNIT);
        _join(nina, USAGE); // eight entries against two
        vm.prank(nina);
        nodeRegistry.setSlots(0);
        address expected = _isHitInRounds(3, randomness) ? noel : address(0);
        assertEq(_drawn(randomness), expected);
    }

    function testFuzz_draw__stake_is_used_up__is_open(uint256 randomness) public {
        for (uint256 i; i < 8; ++i) {
            _leasedJob();
            _submitTo(noel, USAGE_ID);
        }
        assertEq(_drawn(randomness), address(0));
    }

    /// @dev The draw has to reach everybody: with as many entries as these, a node that is never drawn would show.
    function test_draw__many_times__reaches_everybody_by_stake() public {
        _stake(nina, 6 * Settings.UNIT);
        _join(nina, USAGE); // eight entries against two
        uint256 ninas;
        for (uint256 i; i < 200; ++i) {
            uint256 state = vm.snapshotState();
            if (_drawn(uint256(keccak256(abi.encode(i)))) == nina) ++ninas;
            vm.revertToState(state);
        }
        assertGt(ninas, 120);
        assertLt(ninas, 195);
    }

    function testFuzz_draw__any_numbers__leases_to_the_eligible_or_none(uint256 randomness, uint8 share) public {
        vm.prevrandao(bytes32(randomness));
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, USAGE_ID, type(uint256).max, share, address(0));
        address drawn = coordinator.job(jobId).node;
        assertTrue(drawn == nina || drawn == noel, "both are free: somebody has to be drawn");
        assertEq(_node(drawn).escrowInFlight, coordinator.job(jobId).escrow);
    }

    function _leaveOneEntryEach() private {
        vm.prank(nina);
        coordinator.leaveVersion(USAGE, 1);
        vm.prank(noel);
        coordinator.leaveVersion(USAGE, 1);
    }

    function _drawn(uint256 randomness) private returns (address) {
        vm.prevrandao(bytes32(randomness));
        vm.prank(bob);
        return coordinator.job(coordinator.submitPrompt(PROMPT, USAGE_ID)).node;
    }

    /// @dev The draw told a second time: whether noel has one of the entries that bob's first job would look at.
    function _isHitInRounds(uint256 rounds, uint256 randomness) private view returns (bool) {
        address[] memory list = coordinator.entriesOf(USAGE, 0, 100);
        uint256 seed = uint256(keccak256(abi.encode(randomness, uint256(1), bob)));
        for (; rounds != 0; --rounds) {
            uint256 first = (seed % 2 ** 32) % list.length;
            uint256 step = 1 + (seed / 2 ** 32 % 2 ** 32) % (list.length - 1);
            if (list[first] == noel || list[(first + step) % list.length] == noel) return true;
            seed /= 2 ** 64;
        }
        return false;
    }

    /// @dev As a node's estimate finds it: by halving, to the unit.
    function _leastGas(uint256 randomness) private returns (uint256 enough) {
        uint256 tooLittle = 0;
        enough = 1_000_000;
        uint256 before = vm.snapshotState();
        while (enough - tooLittle > 1) {
            uint256 limit = (enough + tooLittle) / 2;
            vm.prevrandao(bytes32(randomness));
            vm.prank(alice);
            try coordinator.submitPrompt{gas: limit}(PROMPT, USAGE_ID) {
                enough = limit;
            } catch {
                tooLittle = limit;
            }
            vm.revertToState(before);
        }
    }
}
