// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clocks, CoordinatorConfig, Terms, TermsBounds} from "../../../contracts/interfaces/InferenceTypes.sol";

/// @title What the network under test is told at birth, and the ranges that fuzzed values are taken from.
library Settings {
    // ---------------------------------------------------------------- clocks and money
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant GRACE = 15;
    uint32 internal constant EPOCH = 30 minutes;
    uint32 internal constant COOL_DOWN = 7 days;
    uint8 internal constant ATTEMPTS = 4;
    uint32 internal constant ANNOUNCE_DELAY = 1 days;
    uint16 internal constant LEASE = 120;
    uint16 internal constant OPEN = 300;

    uint256 internal constant SUPPLY = 1e27;
    uint256 internal constant UNIT = 1_000 ether;
    uint256 internal constant BOND = 10 ether;
    uint256 internal constant REWARD_CAP = 1 ether;
    uint16 internal constant FEE_BPS = 200;
    uint256 internal constant BPS = 10_000;

    // ---------------------------------------------------------------- terms
    uint48 internal constant FLAT_FEE = 1e9; // gwei: 1 token
    uint48 internal constant USAGE_FLAT_FEE = 1e7;
    uint48 internal constant USAGE_MAX_FEE = 20e9;
    uint40 internal constant INPUT_PRICE = 1e5;
    uint40 internal constant OUTPUT_PRICE = 1e6;

    // ---------------------------------------------------------------- ranges of fuzzed values
    uint256 internal constant MAX_AMOUNT = 1e26;
    uint48 internal constant MIN_MAX_FEE = 10;
    uint48 internal constant MAX_MAX_FEE = 1e14;
    uint16 internal constant MIN_SECONDS = 30;
    uint16 internal constant MAX_SECONDS = 3_600;
    uint40 internal constant MAX_PRICE = type(uint40).max;

    /// A job costs its whole ceiling, whatever it uses.
    function flat() internal pure returns (Terms memory) {
        return Terms(0, 0, FLAT_FEE, FLAT_FEE, LEASE, OPEN, 4_096, 2_048);
    }

    function usage() internal pure returns (Terms memory) {
        return Terms(INPUT_PRICE, OUTPUT_PRICE, USAGE_FLAT_FEE, USAGE_MAX_FEE, LEASE, OPEN, 4_096, 2_048);
    }

    function clocks() internal pure returns (Clocks memory) {
        return Clocks(GRACE, EPOCH, COOL_DOWN, ATTEMPTS);
    }

    function bounds() internal pure returns (TermsBounds memory) {
        return TermsBounds(MIN_MAX_FEE, MAX_MAX_FEE, MIN_SECONDS, MAX_SECONDS, MIN_SECONDS, MAX_SECONDS);
    }

    /// The registries' addresses are the deployment's to fill in.
    function config(address token, address owner, address treasury) internal pure returns (CoordinatorConfig memory) {
        return CoordinatorConfig({
            token: token,
            modelRegistry: address(0),
            nodeRegistry: address(0),
            owner: owner,
            treasury: treasury,
            stakeUnit: UNIT,
            publisherBond: BOND,
            noShowRewardCap: REWARD_CAP,
            feeBps: FEE_BPS,
            announceDelaySeconds: ANNOUNCE_DELAY,
            clocks: clocks(),
            bounds: bounds()
        });
    }
}
