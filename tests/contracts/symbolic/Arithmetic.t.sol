// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {CoordinatorConfig} from "../../../contracts/interfaces/InferenceTypes.sol";
import {JobBook} from "../../../contracts/state/JobBook.sol";
import {NodeWord} from "../../../contracts/types/NodeWord.sol";
import {Settings} from "../support/Settings.sol";

contract ShareHarness is JobBook {
    constructor(CoordinatorConfig memory c) JobBook(c) {}

    function shareOf(uint256 maxFeeGwei, uint256 share) external pure returns (uint256) {
        return _shareOf(maxFeeGwei, share);
    }
}

/// @title What holds for every input, proved by halmos: each `check_` is a law, and forge does not run it.
contract Arithmetic is Test {
    ShareHarness internal book;

    function setUp() public {
        CoordinatorConfig memory c = Settings.config(address(this), address(1), address(1));
        (c.modelRegistry, c.nodeRegistry) = (address(2), address(3));
        vm.warp(Settings.START);
        book = new ShareHarness(c);
    }

    // ---------------------------------------------------------------- escrow
    function check_share__isRoundedUpByLessThanAGwei(uint48 maxFeeGwei, uint8 share) external view {
        unchecked {
            uint256 part = uint256(maxFeeGwei) * (uint256(share) + 1);
            uint256 escrow256 = book.shareOf(maxFeeGwei, share) << 8;
            assert(escrow256 >= part && escrow256 - part < 256);
        }
    }

    function check_share__ofTheWholeIsTheWhole(uint48 maxFeeGwei) external view {
        assert(book.shareOf(maxFeeGwei, 255) == maxFeeGwei);
    }

    // ---------------------------------------------------------------- roll
    function check_roll__losesNoMoney(uint256 raw, uint24 today) external pure {
        NodeWord w = NodeWord.wrap(raw);
        (NodeWord next, uint256 before, uint256 current) = w.rolled(today);
        uint256 kept = next.earnedNowGwei() + next.earnedBeforeGwei();
        assert(kept + before + current == w.earnedNowGwei() + w.earnedBeforeGwei());
    }

    function check_roll__keepsAllElse(uint256 raw, uint24 today) external pure {
        NodeWord w = NodeWord.wrap(raw);
        (NodeWord next,,) = w.rolled(today);
        assert(next.slots() == w.slots() && next.inFlight() == w.inFlight());
        assert(next.stakeTokens() == w.stakeTokens() && next.escrowGwei() == w.escrowGwei());
        assert(next.epoch() == today);
    }

    /// What is not final is the same whether the word was rolled or not.
    function check_roll__changesNoLock(uint256 raw, uint24 today) external pure {
        NodeWord w = NodeWord.wrap(raw);
        if (today < w.epoch()) return;
        (NodeWord next,,) = w.rolled(today);
        assert(next.unsettledGwei(today) == w.unsettledGwei(today));
    }

    // ---------------------------------------------------------------- leases
    /// A free node takes a lease without any field running into its neighbour, and gives it back without a trace.
    function check_lease__staysWithinItsFields(uint256 raw, uint24 today, uint48 escrowGwei) external pure {
        NodeWord w = NodeWord.wrap(raw);
        if (today < w.epoch() || !w.isFree(today, escrowGwei)) return;
        NodeWord leased = w.leased(escrowGwei);
        assert(leased.inFlight() == w.inFlight() + 1);
        assert(leased.escrowGwei() == w.escrowGwei() + escrowGwei);
        assert(leased.slots() == w.slots() && leased.epoch() == w.epoch() && leased.stakeTokens() == w.stakeTokens());
        assert(leased.earnedNowGwei() == w.earnedNowGwei() && leased.earnedBeforeGwei() == w.earnedBeforeGwei());
        assert(NodeWord.unwrap(leased.released(escrowGwei)) == raw);
    }

    /// A delivery on a lease moves escrow to earnings within the word, whatever the epoch.
    function check_delivery__staysWithinItsFields(uint256 raw, uint24 today, uint48 escrowGwei, uint48 priceGwei)
        external
        pure
    {
        NodeWord w = NodeWord.wrap(raw);
        if (today < w.epoch() || priceGwei > escrowGwei || !w.isFree(today, escrowGwei)) return;
        (NodeWord rolled,,) = w.leased(escrowGwei).rolled(today);
        NodeWord after_ = rolled.released(escrowGwei).earned(priceGwei);
        assert(after_.earnedNowGwei() == rolled.earnedNowGwei() + priceGwei);
        assert(after_.earnedBeforeGwei() == rolled.earnedBeforeGwei());
        assert(after_.escrowGwei() == w.escrowGwei() && after_.inFlight() == w.inFlight());
    }
}
