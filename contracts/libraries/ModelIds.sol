// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";

/// @title Which model ids exist, and whose they are.
/// @notice Printable ASCII without spaces, so that no two ids look alike. What begins with "0x" belongs to publishers.
library ModelIds {
    uint256 private constant MAX_BYTES = 128;
    uint256 private constant ADDRESS_CHARS = 42;

    function isOwnerId(string calldata modelId) internal pure returns (bool) {
        bytes calldata id = bytes(modelId);
        if (id.length >= 2 && id[0] == "0" && id[1] == "x") return false;
        return _isPrintable(id);
    }

    /// @return whether the id is "<lower-case address>/<name>" with this publisher's address
    function isPublisherId(string calldata modelId, address publisher) internal pure returns (bool) {
        bytes calldata id = bytes(modelId);
        if (id.length < ADDRESS_CHARS + 2 || id[ADDRESS_CHARS] != "/" || !_isPrintable(id)) return false;
        return keccak256(id[:ADDRESS_CHARS]) == keccak256(bytes(Strings.toHexString(publisher)));
    }

    function _isPrintable(bytes calldata id) private pure returns (bool) {
        if (id.length == 0 || id.length > MAX_BYTES) return false;
        for (uint256 i; i < id.length; ++i) {
            if (id[i] < 0x21 || id[i] > 0x7e) return false;
        }
        return true;
    }
}
