// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

contract LeaveVersionTest is NetworkTest {
    function test_leaveVersion__not_a_node__reverts() public {
        _refuses(mallory, USAGE, 1, NotNode.selector);
    }

    function test_leaveVersion__not_joined__reverts() public {
        _refuses(nina, LONELY, 1, NotJoined.selector);
    }

    function test_leaveVersion__no_steps__reverts() public {
        _refuses(nina, USAGE, 0, AmountIsZero.selector);
    }

    function test_leaveVersion__all__leaves_only_the_others() public {
        _expectEvent();
        emit VersionLeft(nina, USAGE, 0);
        assertEq(_leave(nina, USAGE, 99), 0);

        _assertList(USAGE, noel, 2);
        assertEq(coordinator.joinedVersions(nina).length, 1);
        assertEq(coordinator.joinedVersions(nina)[0], FLAT);
        assertFalse(coordinator.isEligible(nina, USAGE, 1 gwei));
        assertTrue(coordinator.isEligible(nina, FLAT, 1 gwei));
        _refuses(nina, USAGE, 1, NotJoined.selector);
    }

    function test_leaveVersion__in_steps__says_what_remains() public {
        assertEq(_leave(nina, USAGE, 1), 1);
        assertTrue(coordinator.isEligible(nina, USAGE, 1 gwei));
        assertEq(coordinator.joinedVersions(nina).length, 2);
        assertEq(_leave(nina, USAGE, 1), 0);
        _assertList(USAGE, noel, 2);
    }

    function test_leaveVersion__and_join_again__is_as_before() public {
        _leave(nina, USAGE, 99);
        _join(nina, USAGE);
        assertEq(coordinator.version(USAGE).entries, 4);
        assertTrue(coordinator.isEligible(nina, USAGE, USAGE_ESCROW));
    }

    function test_leaveVersion__first_of_many__keeps_the_other_versions() public {
        _join(nina, LONELY);
        _leave(nina, FLAT, 99);
        uint256[] memory joined = coordinator.joinedVersions(nina);
        assertEq(joined.length, 2);
        assertTrue((joined[0] == USAGE && joined[1] == LONELY) || (joined[0] == LONELY && joined[1] == USAGE));
    }

    function test_leaveVersion__job_in_flight__keeps_the_duty() public {
        uint256 jobId = _leasedJob();
        _leave(nina, USAGE, 99);
        assertEq(_node(nina).inFlight, 1);
        assertEq(_node(nina).locked, 10 * USAGE_ESCROW);
        _deliver(nina, jobId);
        _assertStatus(jobId, JobStatus.Delivered);
    }

    /// @dev Joining and leaving in any order leaves exactly the entries that were not taken away.
    function testFuzz_leaveVersion__any_order__loses_and_invents_no_entry(uint256 seed) public {
        address[2] memory nodes = [nina, noel];
        _stake(nina, 5 * Settings.UNIT);
        uint256[2] memory counts;
        for (uint256 i; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 who = seed & 1;
            uint256 steps = (seed >> 8) % 4 + 1;
            if (seed & 2 == 0) counts[who] += _tryJoin(nodes[who], steps);
            else if (counts[who] != 0) counts[who] = _leave(nodes[who], LONELY, steps);
            _assertCounts(counts);
        }
    }

    // ---------------------------------------------------------------- helpers
    function _tryJoin(address node, uint256 steps) private returns (uint256 added) {
        vm.prank(node);
        try coordinator.joinVersion(LONELY, steps) returns (uint256 n) {
            added = n;
        } catch (bytes memory reason) {
            assertEq(reason, abi.encodePacked(AlreadyJoined.selector));
        }
    }

    function _assertCounts(uint256[2] memory expected) private view {
        address[] memory list = coordinator.entriesOf(LONELY, 0, 100);
        assertEq(list.length, expected[0] + expected[1]);
        uint256 ninas;
        for (uint256 i; i < list.length; ++i) {
            if (list[i] == nina) ++ninas;
        }
        assertEq(ninas, expected[0]);
    }

    function _assertList(uint256 version, address all, uint256 count) private view {
        address[] memory list = coordinator.entriesOf(version, 0, 100);
        assertEq(list.length, count);
        assertEq(coordinator.version(version).entries, count);
        for (uint256 i; i < count; ++i) {
            assertEq(list[i], all);
        }
    }

    function _leave(address node, uint256 version, uint256 steps) private returns (uint256) {
        vm.prank(node);
        return coordinator.leaveVersion(version, steps);
    }

    function _refuses(address who, uint256 version, uint256 steps, bytes4 selector) private {
        vm.expectRevert(selector);
        vm.prank(who);
        coordinator.leaveVersion(version, steps);
    }
}
