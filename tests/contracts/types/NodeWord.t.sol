// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {NodeWord} from "../../../contracts/types/NodeWord.sol";
import {WordRanges} from "../support/WordRanges.sol";

contract NodeWordTest is Test {
    /// @dev The same fields in the open, as an oracle.
    struct Plain {
        uint256 slots;
        uint256 inFlight;
        uint256 epoch;
        uint256 stakeTokens;
        uint256 escrow;
        uint256 earnedNow;
        uint256 earnedBefore;
    }

    // ---------------------------------------------------------------- fields
    function testFuzz_fields__any__are_read_back(Plain memory p) public pure {
        _assertIs(_pack(_bounded(p)), p);
    }

    function testFuzz_withSlots__any__changes_slots_alone(Plain memory p, uint16 slots) public pure {
        NodeWord w = _pack(_bounded(p)).withSlots(slots);
        p.slots = slots;
        _assertIs(w, p);
    }

    function testFuzz_withStake__any__is_whole_tokens_at_most_32_bits(Plain memory p, uint256 stakeWei) public pure {
        NodeWord w = _pack(_bounded(p)).withStake(stakeWei);
        uint256 tokens = stakeWei / 1 ether;
        p.stakeTokens = tokens > type(uint32).max ? type(uint32).max : tokens;
        _assertIs(w, p);
    }

    // ---------------------------------------------------------------- leases and earnings
    function testFuzz_leased_and_released__any__is_the_word_before(Plain memory p, uint256 escrow) public pure {
        _bounded(p);
        escrow = bound(escrow, 0, type(uint56).max - p.escrow);
        vm.assume(p.inFlight < type(uint16).max);
        NodeWord w = _pack(p);
        NodeWord leased = w.leased(escrow);
        assertEq(NodeWord.unwrap(leased.released(escrow)), NodeWord.unwrap(w));
        (p.inFlight, p.escrow) = (p.inFlight + 1, p.escrow + escrow);
        _assertIs(leased, p);
    }

    function testFuzz_earned__any__adds_to_the_epochs_earnings(Plain memory p, uint256 price) public pure {
        _bounded(p);
        price = bound(price, 0, type(uint56).max - p.earnedNow);
        NodeWord w = _pack(p).earned(price);
        p.earnedNow += price;
        _assertIs(w, p);
    }

    // ---------------------------------------------------------------- epochs
    function testFuzz_rolled__any_age__moves_what_became_final(Plain memory p, uint256 age) public pure {
        _bounded(p);
        age = bound(age, 0, type(uint24).max - p.epoch);
        (NodeWord w, uint256 before, uint256 current) = _pack(p).rolled(p.epoch + age);
        if (age == 0) {
            assertEq(before + current, 0);
            return _assertIs(w, p);
        }
        assertEq(before, p.earnedBefore);
        assertEq(current, age == 1 ? 0 : p.earnedNow);
        (p.epoch, p.earnedBefore, p.earnedNow) = (p.epoch + age, age == 1 ? p.earnedNow : 0, 0);
        _assertIs(w, p);
    }

    function testFuzz_rolled__any_age__loses_nothing_and_locks_the_same(Plain memory p, uint256 age) public pure {
        _bounded(p);
        age = bound(age, 0, type(uint24).max - p.epoch);
        NodeWord old = _pack(p);
        (NodeWord w, uint256 before, uint256 current) = old.rolled(p.epoch + age);
        assertEq(w.earnedNowGwei() + w.earnedBeforeGwei() + before + current, p.earnedNow + p.earnedBefore);
        assertEq(w.unsettledGwei(p.epoch + age), old.unsettledGwei(p.epoch + age), "rolling changes no lock");
    }

    function testFuzz_unsettled__any_age__counts_two_epochs(Plain memory p, uint256 age) public pure {
        _bounded(p);
        age = bound(age, 0, type(uint24).max - p.epoch);
        uint256 expected = p.escrow + (age <= 1 ? p.earnedNow : 0) + (age == 0 ? p.earnedBefore : 0);
        assertEq(_pack(p).unsettledGwei(p.epoch + age), expected);
    }

    // ---------------------------------------------------------------- questions
    function testFuzz_covers__any__is_tenfold_stake_and_room(Plain memory p, uint256 extra) public pure {
        _bounded(p);
        extra = bound(extra, 0, type(uint48).max);
        uint256 held = p.escrow + p.earnedNow + p.earnedBefore + extra;
        bool expected = held * 10 <= p.stakeTokens * 1e9 && held <= type(uint56).max;
        assertEq(_pack(p).covers(p.epoch, extra), expected);
    }

    function test_covers__matured_but_not_rolled__still_needs_room() public pure {
        Plain memory p = Plain(1, 0, 5, type(uint32).max, 0, type(uint56).max, 0);
        assertFalse(_pack(p).covers(7, 1), "the sum would not fit its field");
        (NodeWord w,,) = _pack(p).rolled(7);
        assertTrue(w.covers(7, 1));
    }

    function testFuzz_isFree__needs_a_slot(Plain memory p) public pure {
        _bounded(p);
        p.stakeTokens = type(uint32).max;
        (p.escrow, p.earnedNow, p.earnedBefore) = (0, 0, 0);
        assertEq(_pack(p).isFree(p.epoch, 1), p.inFlight < p.slots);
    }

    function testFuzz_isLighterThan__any__compares_shares_of_slots(Plain memory p, Plain memory q) public pure {
        bool lighter = _pack(_bounded(p)).isLighterThan(_pack(_bounded(q)));
        assertEq(lighter, p.inFlight * q.slots < q.inFlight * p.slots);
        assertFalse(_pack(p).isLighterThan(_pack(p)), "nobody is lighter than itself");
    }

    // ---------------------------------------------------------------- helpers
    function _bounded(Plain memory p) private pure returns (Plain memory) {
        p.slots = bound(p.slots, 0, WordRanges.SLOTS);
        p.inFlight = bound(p.inFlight, 0, WordRanges.SLOTS);
        p.epoch = bound(p.epoch, 1, WordRanges.EPOCH);
        p.stakeTokens = bound(p.stakeTokens, 0, WordRanges.TOKENS);
        p.escrow = bound(p.escrow, 0, WordRanges.GWEI);
        p.earnedNow = bound(p.earnedNow, 0, WordRanges.GWEI);
        p.earnedBefore = bound(p.earnedBefore, 0, WordRanges.GWEI);
        return p;
    }

    function _pack(Plain memory p) private pure returns (NodeWord) {
        return NodeWord.wrap(
            p.slots | (p.inFlight << 16) | (p.epoch << 32) | (p.stakeTokens << 56) | (p.escrow << 88)
                | (p.earnedNow << 144) | (p.earnedBefore << 200)
        );
    }

    function _assertIs(NodeWord w, Plain memory p) private pure {
        assertEq(w.slots(), p.slots, "slots");
        assertEq(w.inFlight(), p.inFlight, "in flight");
        assertEq(w.epoch(), p.epoch, "epoch");
        assertEq(w.stakeTokens(), p.stakeTokens, "stake");
        assertEq(w.escrowGwei(), p.escrow, "escrow");
        assertEq(w.earnedNowGwei(), p.earnedNow, "earned now");
        assertEq(w.earnedBeforeGwei(), p.earnedBefore, "earned before");
    }
}
