// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {JobWord, JobWordLib} from "../../../contracts/types/JobWord.sol";
import {WordRanges} from "../support/WordRanges.sol";

contract JobWordTest is Test {
    function testFuzz_create__any__holds_the_request_and_nothing_else(address who, uint256 version, uint8 share)
        public
        pure
    {
        version = bound(version, 0, WordRanges.NUMBER);
        JobWord w = JobWordLib.create(who, version, share);
        _assertRequest(w, who, version, share);
        assertEq(w.node(), 0);
        assertEq(w.until(), 0);
        assertEq(w.attempts(), 0);
        assertEq(uint256(w.status()), uint256(JobStatus.None));
    }

    function testFuzz_leasedTo__any__counts_and_keeps_the_request(uint256 seed, uint256[2] memory nodes, uint256 until)
        public
        pure
    {
        address who = address(uint160(seed));
        (uint256 version, uint8 share) = (WordRanges.NUMBER, uint8(seed >> 160));
        JobWord w = JobWordLib.create(who, version, share);
        until = bound(until, 0, WordRanges.SECOND);
        for (uint256 i; i < 2; ++i) {
            uint256 node = bound(nodes[i], 0, WordRanges.NUMBER);
            w = w.leasedTo(node, until);
            assertEq(w.node(), node);
            assertEq(w.until(), until);
            assertEq(w.attempts(), i + 1);
            assertEq(uint256(w.status()), uint256(JobStatus.Leased));
            _assertRequest(w, who, version, share);
        }
    }

    function testFuzz_moved__any_word__changes_status_and_second_alone(uint256 word, uint256 status, uint256 until)
        public
        pure
    {
        JobWord w = JobWord.wrap(word);
        JobStatus to = JobStatus(bound(status, 0, WordRanges.STATUSES));
        JobWord m = w.moved(to, bound(until, 0, WordRanges.SECOND));
        assertEq(uint256(m.status()), uint256(to));
        assertEq(m.until(), bound(until, 0, WordRanges.SECOND));
        assertEq(m.node(), w.node());
        assertEq(m.attempts(), w.attempts());
        _assertRequest(m, w.requester(), w.version(), w.share());
    }

    function test_leasedTo__four_times__is_the_most_there_is() public pure {
        JobWord w = JobWordLib.create(address(1), 1, 255);
        for (uint256 i; i < 4; ++i) {
            w = w.leasedTo(1, 1);
        }
        assertEq(w.attempts(), 4);
        assertEq(w.share(), 255);
    }

    function _assertRequest(JobWord w, address who, uint256 version, uint256 share) private pure {
        assertEq(w.requester(), who, "requester");
        assertEq(w.version(), version, "version");
        assertEq(w.share(), share, "share");
    }
}
