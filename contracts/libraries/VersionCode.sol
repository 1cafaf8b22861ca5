// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title A version's two strings kept as the code of a tiny contract: reading them costs one account, not several slots.
/// @dev Code layout: STOP, length of the CID (1 byte), CID, model id. The technique is known as SSTORE2 (0xsequence).
library VersionCode {
    error CodeNotStored();

    uint256 private constant HEADER = 2;

    /// @param cid at most 255 bytes; callers allow fewer
    function store(string memory cid, string memory modelId) internal returns (address at) {
        bytes memory data = abi.encodePacked(uint8(0), uint8(bytes(cid).length), cid, modelId);
        // push2 length, dup1, push1 10, returndatasize (0), codecopy, returndatasize (0), return: deploys what follows.
        bytes memory init = abi.encodePacked(hex"61", uint16(data.length), hex"80600a3d393df3", data);
        assembly ("memory-safe") {
            at := create(0, add(init, 32), mload(init))
        }
        require(at != address(0), CodeNotStored());
    }

    /// @dev Assembly, since Solidity cannot copy a part of foreign code and the hot path wants the CID alone.
    function cidOf(address at) internal view returns (string memory cid) {
        assembly ("memory-safe") {
            cid := mload(0x40)
            mstore(cid, 0)
            extcodecopy(at, add(cid, 31), 1, 1) // the length byte becomes the string's length word
            let length := mload(cid)
            extcodecopy(at, add(cid, 32), 2, length)
            mstore(add(add(cid, 32), length), 0)
            mstore(0x40, and(add(add(cid, 95), length), not(31)))
        }
    }

    /// @dev The rest of the code.
    function modelIdOf(address at) internal view returns (string memory modelId) {
        uint256 from = HEADER + bytes(cidOf(at)).length;
        modelId = string(new bytes(at.code.length - from));
        assembly ("memory-safe") {
            extcodecopy(at, add(modelId, 32), from, mload(modelId))
        }
    }
}
