// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title The widest values of the fields of packed words.
library WordRanges {
    uint256 internal constant SLOTS = type(uint16).max;
    uint256 internal constant EPOCH = type(uint24).max;
    uint256 internal constant TOKENS = type(uint32).max;
    uint256 internal constant GWEI = type(uint56).max;
    uint256 internal constant NUMBER = type(uint24).max;
    uint256 internal constant SECOND = type(uint32).max;
    uint256 internal constant STATUSES = 6;
}
