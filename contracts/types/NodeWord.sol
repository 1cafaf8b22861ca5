// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// A node's hot state in one word, from the low end:
/// slots 16 | jobs in flight 16 | epoch 24 | stake in whole tokens 32 | escrow in flight 56 | earned now 56 | earned before 56
/// Money is gwei. `earned now` is of the word's epoch, `earned before` of the epoch just before it.
type NodeWord is uint256;

using NodeWordLib for NodeWord global;

/// @dev A job is leased only if `unsettled` stays within 56 bits (see `covers`), and everything after a lease only moves
/// or removes parts of that sum: so no field can overflow into its neighbour, which is what makes `unchecked` sound.
library NodeWordLib {
    uint256 private constant MASK_16 = type(uint16).max;
    uint256 private constant MASK_24 = type(uint24).max;
    uint256 private constant MASK_32 = type(uint32).max;
    uint256 private constant MASK_56 = type(uint56).max;
    uint256 private constant IN_FLIGHT_AT = 16;
    uint256 private constant EPOCH_AT = 32;
    uint256 private constant STAKE_AT = 56;
    uint256 private constant ESCROW_AT = 88;
    uint256 private constant EARNED_NOW_AT = 144;
    uint256 private constant EARNED_BEFORE_AT = 200;
    uint256 private constant BELOW_EARNED_NOW = (1 << EARNED_NOW_AT) - 1;
    uint256 private constant GWEI_PER_TOKEN = 1e9;
    /// Stake behind a unit of unsettled work.
    uint256 internal constant LOCK_FACTOR = 10;

    // ---------------------------------------------------------------- fields
    function slots(NodeWord w) internal pure returns (uint256) {
        return NodeWord.unwrap(w) & MASK_16;
    }

    function inFlight(NodeWord w) internal pure returns (uint256) {
        return (NodeWord.unwrap(w) >> IN_FLIGHT_AT) & MASK_16;
    }

    function epoch(NodeWord w) internal pure returns (uint256) {
        return (NodeWord.unwrap(w) >> EPOCH_AT) & MASK_24;
    }

    function stakeTokens(NodeWord w) internal pure returns (uint256) {
        return (NodeWord.unwrap(w) >> STAKE_AT) & MASK_32;
    }

    function escrowGwei(NodeWord w) internal pure returns (uint256) {
        return (NodeWord.unwrap(w) >> ESCROW_AT) & MASK_56;
    }

    function earnedNowGwei(NodeWord w) internal pure returns (uint256) {
        return (NodeWord.unwrap(w) >> EARNED_NOW_AT) & MASK_56;
    }

    function earnedBeforeGwei(NodeWord w) internal pure returns (uint256) {
        return NodeWord.unwrap(w) >> EARNED_BEFORE_AT;
    }

    // ---------------------------------------------------------------- questions
    /// Escrow in flight and earnings that are not final in epoch `today`, whether or not the word was rolled to it.
    function unsettledGwei(NodeWord w, uint256 today) internal pure returns (uint256 sum) {
        uint256 age = w.ageAt(today);
        unchecked {
            // A shift by 256 or more leaves nothing. `earned now` counts up to age 1, `earned before` at age 0 only; without
            // branches, a draw costs the same whoever is drawn.
            sum = w.escrowGwei() + (w.earnedNowGwei() >> ((age >> 1) << 8)) + (w.earnedBeforeGwei() >> (age << 8));
        }
    }

    /// Epochs since the word was rolled, modulo the field's width: the count of epochs may outgrow it.
    function ageAt(NodeWord w, uint256 today) internal pure returns (uint256) {
        unchecked {
            return (today - w.epoch()) & MASK_24;
        }
    }

    /// Whether the stake covers a further `extraGwei` of unsettled work.
    function covers(NodeWord w, uint256 today, uint256 extraGwei) internal pure returns (bool) {
        unchecked {
            // At most 3 * 2^56 + 2^48: far from 2^256.
            uint256 sum = w.unsettledGwei(today) + extraGwei;
            // What has matured without being rolled out still fills its field, hence the sum over all fields.
            uint256 held = w.escrowGwei() + w.earnedNowGwei() + w.earnedBeforeGwei() + extraGwei;
            return sum * LOCK_FACTOR <= w.stakeTokens() * GWEI_PER_TOKEN && held <= MASK_56;
        }
    }

    function isFree(NodeWord w, uint256 today, uint256 extraGwei) internal pure returns (bool) {
        return w.inFlight() < w.slots() && w.covers(today, extraGwei);
    }

    /// Uses a smaller share of its slots.
    function isLighterThan(NodeWord a, NodeWord b) internal pure returns (bool) {
        unchecked {
            return a.inFlight() * b.slots() < b.inFlight() * a.slots(); // 16 by 16 bits
        }
    }

    // ---------------------------------------------------------------- changes
    function withSlots(NodeWord w, uint256 slots_) internal pure returns (NodeWord) {
        return NodeWord.wrap((NodeWord.unwrap(w) & ~MASK_16) | (slots_ & MASK_16));
    }

    /// Whole tokens of `stakeWei`, rounded down; more than the field holds counts as the most it holds.
    function withStake(NodeWord w, uint256 stakeWei) internal pure returns (NodeWord) {
        uint256 tokens = stakeWei / 1 ether;
        if (tokens > MASK_32) tokens = MASK_32;
        return NodeWord.wrap((NodeWord.unwrap(w) & ~(MASK_32 << STAKE_AT)) | (tokens << STAKE_AT));
    }

    function leased(NodeWord w, uint256 jobEscrowGwei) internal pure returns (NodeWord) {
        unchecked {
            return NodeWord.wrap(NodeWord.unwrap(w) + (1 << IN_FLIGHT_AT) + (jobEscrowGwei << ESCROW_AT));
        }
    }

    function released(NodeWord w, uint256 jobEscrowGwei) internal pure returns (NodeWord) {
        unchecked {
            return NodeWord.wrap(NodeWord.unwrap(w) - (1 << IN_FLIGHT_AT) - (jobEscrowGwei << ESCROW_AT));
        }
    }

    /// @param priceGwei at most the escrow of the lease it was released from
    function earned(NodeWord w, uint256 priceGwei) internal pure returns (NodeWord) {
        unchecked {
            return NodeWord.wrap(NodeWord.unwrap(w) + (priceGwei << EARNED_NOW_AT));
        }
    }

    /// Moves the word to epoch `today`. What became final leaves it: `before` was earned in the epoch before the word's,
    /// `current` in the word's own.
    function rolled(NodeWord w, uint256 today) internal pure returns (NodeWord next, uint256 before, uint256 current) {
        unchecked {
            uint256 age = w.ageAt(today);
            if (age == 0) return (w, 0, 0);
            before = w.earnedBeforeGwei();
            uint256 rest = (NodeWord.unwrap(w) & BELOW_EARNED_NOW & ~(MASK_24 << EPOCH_AT)) | ((today & MASK_24) << EPOCH_AT);
            if (age == 1) rest |= w.earnedNowGwei() << EARNED_BEFORE_AT;
            else current = w.earnedNowGwei();
            next = NodeWord.wrap(rest);
        }
    }
}
