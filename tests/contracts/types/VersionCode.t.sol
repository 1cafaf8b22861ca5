// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {VersionCode} from "../../../contracts/libraries/VersionCode.sol";

contract VersionCodeTest is Test {
    using VersionCode for address;

    function test_store__gas_does_not_suffice__reverts() public {
        string memory id = string(new bytes(20_000)); // 4,000,000 gas for its code
        vm.expectRevert(VersionCode.CodeNotStored.selector);
        this.store{gas: 2_000_000}("cid", id);
    }

    function testFuzz_store__any_strings__are_read_back(string memory cid, string memory id) public {
        vm.assume(bytes(cid).length <= 255 && bytes(id).length <= 1_024);
        address at = VersionCode.store(cid, id);
        assertEq(at.cidOf(), cid);
        assertEq(at.modelIdOf(), id);
    }

    function test_store__code__cannot_be_run() public {
        address at = VersionCode.store("cid", "id");
        assertEq(at.code, abi.encodePacked(uint8(0), uint8(3), "cid", "id"));
        (bool ok, bytes memory answer) = at.call("anything");
        assertTrue(ok, "it begins with STOP");
        assertEq(answer.length, 0);
    }

    function test_cidOf__no_code__is_empty() public {
        assertEq(makeAddr("nothing here").cidOf(), "");
    }

    /// @dev External, so that a refusal is one call's.
    function store(string calldata cid, string calldata id) external returns (address) {
        return VersionCode.store(cid, id);
    }

    /// @dev The assembly has to leave what follows in memory alone.
    function testFuzz_cidOf__then_more_memory__overlaps_nothing(string memory cid, bytes32 mark) public {
        vm.assume(bytes(cid).length <= 96);
        address at = VersionCode.store(cid, "id");
        string memory first = at.cidOf();
        bytes memory marked = abi.encode(mark);
        string memory second = at.cidOf();
        assertEq(abi.decode(marked, (bytes32)), mark);
        assertEq(first, cid);
        assertEq(second, cid);
    }
}
