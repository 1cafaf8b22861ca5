// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Multiplier} from "../../../contracts/libraries/Multiplier.sol";

contract MultiplierTest is Test {
    uint256 private constant MOST_TOKENS = type(uint32).max;
    uint256 private constant D_SCALE = 5_106_000;

    /// @dev Rows of (tokens, days, hundredths), computed from the formula with sixty decimals.
    function test_cents__table__is_the_formula_truncated() public pure {
        uint256[3][18] memory rows = [
            [uint256(1_000), 7, 132],
            [uint256(1_000), 30, 137],
            [uint256(1_000), 180, 148],
            [uint256(1_000), 365, 155],
            [uint256(10_000), 30, 150], // the published example
            [uint256(10_000), 365, 174],
            [uint256(5_000), 90, 151],
            [uint256(100_000), 180, 181],
            [uint256(100_000), 365, 193],
            [uint256(1_000_000), 365, 211],
            [uint256(1_234_567), 100, 186],
            [uint256(1_001), 8, 132],
            [uint256(9_999), 30, 149],
            [uint256(1_000_000_000), 365, 267],
            [MOST_TOKENS, 365, 279],
            [uint256(999), 365, 100],
            [uint256(1_000), 6, 100],
            [uint256(0), 0, 100]
        ];
        for (uint256 i; i < rows.length; ++i) {
            assertEq(Multiplier.cents(rows[i][0], rows[i][1]), rows[i][2], vm.toString(i));
        }
    }

    function test_bonus__at_its_points__is_exact() public pure {
        assertEq(Multiplier.bonus(7) * 15, D_SCALE);
        assertEq(Multiplier.bonus(30) * 4, D_SCALE);
        assertEq(Multiplier.bonus(180) * 8, D_SCALE * 5);
        assertEq(Multiplier.bonus(365) * 50, D_SCALE * 43);
    }

    function testFuzz_cents__more_stake_or_days__is_no_less(uint256 tokens, uint256 more, uint256 days_, uint256 longer)
        public
        pure
    {
        tokens = bound(tokens, 0, MOST_TOKENS);
        more = bound(more, tokens, MOST_TOKENS);
        days_ = bound(days_, 0, 1_000);
        longer = bound(longer, days_, 1_000);
        assertGe(Multiplier.cents(more, days_), Multiplier.cents(tokens, days_));
        assertGe(Multiplier.cents(tokens, longer), Multiplier.cents(tokens, days_));
    }

    function testFuzz_cents__any__stays_between_one_and_three(uint256 tokens, uint256 days_) public pure {
        uint256 cents = Multiplier.cents(bound(tokens, 0, MOST_TOKENS), days_);
        assertGe(cents, 100);
        assertLt(cents, 300);
    }

    function test_log10Down__powers_of_ten__are_exact() public pure {
        for (uint256 i; i < 20; ++i) {
            assertEq(Multiplier.log10Down(10 ** i), i * 1e8);
        }
    }

    /// @dev log10 of a product is the sum of both, each digit rounded down at most once.
    function testFuzz_log10Down__product__is_the_sum(uint32 a, uint32 b) public pure {
        vm.assume(a != 0 && b != 0);
        uint256 sum = Multiplier.log10Down(a) + Multiplier.log10Down(b);
        assertApproxEqAbs(Multiplier.log10Down(uint256(a) * b), sum, 2);
    }
}
