// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NetworkTest} from "./NetworkTest.sol";

/// @title A network in which a node can be left with less stake than it owes.
abstract contract ShortStakeTest is NetworkTest {
    /// @dev What no call can do, since stake in flight is locked tenfold: leave a node with less stake than it owes.
    function _burnStake(address node, uint256 left) internal {
        uint256 number = _node(node).number;
        uint256 base = uint256(keccak256(abi.encode(number, _recordsSlot())));
        for (uint256 word; word < 4; ++word) {
            bytes32 at = bytes32(base + word);
            uint256 value = uint256(vm.load(address(coordinator), at));
            if (uint128(value) != _node(node).stake) continue;
            vm.store(address(coordinator), at, bytes32((value >> 128 << 128) | left));
        }
        assertEq(_node(node).stake, left, "storage of stakes was not found");
    }

    /// @dev Found by looking: the mapping whose first word begins with the operator's address.
    function _recordsSlot() private view returns (uint256 slot) {
        for (slot = 0; slot < 64; ++slot) {
            bytes32 word = vm.load(address(coordinator), keccak256(abi.encode(uint256(1), slot)));
            if (address(uint160(uint256(word))) == nina) return slot;
        }
        revert("storage of nodes was not found");
    }
}
