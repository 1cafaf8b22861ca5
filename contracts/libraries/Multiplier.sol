// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title The lock-up multiplier: 1 + 0.1 * log10(stake) * (1 + d(days)), truncated to two decimals.
/// @notice d rises linearly through 1/15 at 7 days, 0.25 at 30, 0.625 at 180 and 0.86 at 365. Below 1,000 tokens or 7 days
/// the multiplier is 1. After NeuroShard's published table.
library Multiplier {
    uint256 internal constant ONE_CENTS = 100;
    uint256 internal constant MIN_STAKE_TOKENS = 1_000;
    uint256 internal constant MIN_DAYS = 7;
    uint256 internal constant MAX_DAYS = 365;
    /// Smallest scale in which the four points of d and the slopes between them are whole numbers.
    uint256 private constant SCALE = 5_106_000;
    uint256 private constant FIXED_ONE = 1e18;
    uint256 private constant LOG_DIGITS = 8;
    uint256 private constant LOG_ONE = 10 ** LOG_DIGITS;

    /// @return hundredths, rounded down
    function cents(uint256 stakeTokens, uint256 days_) internal pure returns (uint256) {
        if (stakeTokens < MIN_STAKE_TOKENS || days_ < MIN_DAYS) return ONE_CENTS;
        return ONE_CENTS + (10 * log10Down(stakeTokens) * (SCALE + bonus(days_))) / (SCALE * LOG_ONE);
    }

    /// @return d(days) in units of 1 / 5,106,000; `days_` is at least 7
    function bonus(uint256 days_) internal pure returns (uint256) {
        if (days_ >= MAX_DAYS) return 4_391_160;
        if (days_ >= 180) return 3_191_250 + (days_ - 180) * 6_486;
        if (days_ >= 30) return 1_276_500 + (days_ - 30) * 12_765;
        return 340_400 + (days_ - MIN_DAYS) * 40_700;
    }

    /// @return result log10 in units of 1e-8, rounded down; exact at powers of ten
    function log10Down(uint256 value) internal pure returns (uint256 result) {
        uint256 power = 1;
        while (value / power >= 10) {
            power *= 10;
            result += LOG_ONE;
        }
        // Digit by digit: the tenth power of the mantissa shifts its logarithm by one decimal place.
        uint256 mantissa = (value * FIXED_ONE) / power;
        for (uint256 weight = LOG_ONE / 10; weight != 0; weight /= 10) {
            mantissa = _tenthPower(mantissa);
            for (; mantissa >= 10 * FIXED_ONE; mantissa /= 10) {
                result += weight;
            }
        }
    }

    function _tenthPower(uint256 m) private pure returns (uint256) {
        uint256 square = (m * m) / FIXED_ONE;
        uint256 fourth = (square * square) / FIXED_ONE;
        uint256 eighth = (fourth * fourth) / FIXED_ONE;
        return (eighth * square) / FIXED_ONE;
    }
}
