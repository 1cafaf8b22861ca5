// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NodeWord} from "../types/NodeWord.sol";
import {Staking} from "./Staking.sol";

/// @title Who serves which version, and the draw from that list.
abstract contract Entries is Staking {
    /// @dev One word, so that a draw learns address and number in one read. `ordinal` is its place in `_places`.
    struct Entry {
        address operator;
        uint24 number;
        uint8 ordinal;
    }

    // ---------------------------------------------------------------- constants and immutables
    /// Rounds of a draw; the job is Open if none finds a free node.
    uint256 private constant DRAW_ROUNDS = 3;
    uint256 private constant MIN_STAKE_UNIT = 1 ether;

    uint256 internal immutable _STAKE_UNIT;

    // ---------------------------------------------------------------- storage
    mapping(uint256 version => mapping(uint256 index => Entry)) internal _entries;
    /// Where a node's entries are in the version's list; eight to a word.
    mapping(uint256 version => mapping(uint256 number => uint32[])) internal _places;
    mapping(uint256 number => uint24[]) internal _joined;

    // ---------------------------------------------------------------- constructor
    constructor(uint256 unit) {
        require(unit >= MIN_STAKE_UNIT && unit <= type(uint96).max, OutOfBounds());
        _STAKE_UNIT = unit;
    }

    // ---------------------------------------------------------------- internal
    /// @dev The number and word of a node that may be leased a job of this version and escrow now.
    function _requireEligible(address operator, uint256 number, uint256 escrowGwei)
        internal
        view
        returns (uint256 nodeNumber, NodeWord word)
    {
        nodeNumber = _accounts[operator].node;
        word = _words[nodeNumber];
        require(_isEligible(nodeNumber, word, number, escrowGwei), NodeNotEligible());
    }

    function _entryAt(uint256 number, uint256 index) private view returns (uint256 nodeNumber, address operator) {
        Entry storage e = _entries[number][index];
        return (e.number, e.operator);
    }

    function _isEligible(uint256 nodeNumber, NodeWord word, uint256 number, uint256 escrowGwei) internal view returns (bool) {
        return _places[number][nodeNumber].length != 0 && word.isFree(_epoch(), escrowGwei);
    }

    /// @dev Power of two choices: two distinct entries per round, the free node with the smaller share of its slots in use.
    /// Returns number 0 if no round found one. The word returned is the node's, not yet leased.
    function _draw(uint256 number, uint256 count, uint256 escrowGwei, uint256 seed)
        internal
        view
        returns (uint256 nodeNumber, address operator, NodeWord word)
    {
        if (count == 0) return (nodeNumber, operator, word);
        uint256 today = _epoch();
        for (uint256 round; round < DRAW_ROUNDS; ++round) {
            uint256 index = uint32(seed) % count;
            (nodeNumber, operator) = _entryAt(number, index);
            word = _words[nodeNumber];
            bool isFree = word.isFree(today, escrowGwei);
            if (count > 1) {
                unchecked {
                    index = (index + 1 + uint32(seed >> 32) % (count - 1)) % count; // never the same entry: 32-bit terms
                }
                (uint256 otherNumber, address otherOperator) = _entryAt(number, index);
                NodeWord other = _words[otherNumber];
                // Against itself a node is not lighter, and as free: it cannot win twice.
                if (other.isFree(today, escrowGwei) && (!isFree || other.isLighterThan(word))) {
                    return (otherNumber, otherOperator, other);
                }
            }
            if (isFree) return (nodeNumber, operator, word);
            seed >>= 64;
        }
        return (0, address(0), word);
    }
}
