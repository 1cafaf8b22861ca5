// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Job, JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Cast} from "./Cast.sol";

/// @title What is remembered between calls, and the laws about the step from one state to the next.
abstract contract Memory is Cast {
    struct Note {
        Job job; // as last seen, its finality left out
        uint256 createdAt;
    }

    /// Gas no call here may exceed, however many jobs, nodes and models there are. Lists are walked in steps of 8 at most.
    uint256 internal constant MAX_GAS = 700_000;
    uint256 internal constant MAX_STEPS = 8;

    mapping(uint256 jobId => Note) internal notes;
    /// Prices earned, by the epoch of the delivery.
    mapping(address operator => mapping(uint256 epoch => uint256 amount)) public earnedIn;
    /// Tokens that were sent to the coordinator without a call.
    uint256 public donations;
    /// How many jobs ended in each way, and how many leases lapsed: a campaign that reaches nothing proves nothing.
    mapping(JobStatus => uint256) public endings;
    uint256 public noShows;

    /// @dev Around every act. `actor` is the only one whose credit may fall.
    modifier watched(address actor) {
        uint256[] memory before = _credits();
        _;
        _checkCredits(actor, before);
        _checkJobs();
    }

    /// @dev Sends a call and holds its outcome against what the rules say about it.
    function _send(address caller, address to, bytes memory data, bool isDue, string memory act)
        internal
        returns (bytes memory result)
    {
        bool ok;
        vm.prank(caller);
        uint256 gasBefore = gasleft();
        (ok, result) = to.call(data);
        assertLt(gasBefore - gasleft(), MAX_GAS, string.concat("I17 ", act, ": gas"));
        assertEq(ok, isDue, string.concat(act, isDue ? ": refused what is due" : ": allowed what is not due"));
    }

    function _market(address caller, bytes memory data, bool isDue, string memory act) internal returns (bytes memory) {
        return _send(caller, address(coordinator), data, isDue, act);
    }

    function noteOf(uint256 jobId) external view returns (Note memory) {
        return notes[jobId];
    }

    // ---------------------------------------------------------------- laws of a step
    function _credits() private view returns (uint256[] memory credits) {
        credits = new uint256[](parties.length);
        for (uint256 i; i < credits.length; ++i) {
            credits[i] = coordinator.credit(parties[i]);
        }
    }

    function _checkCredits(address actor, uint256[] memory before) private view {
        for (uint256 i; i < before.length; ++i) {
            if (parties[i] == actor) continue;
            assertGe(coordinator.credit(parties[i]), before[i], "I10: credit falls by its owner's act only");
        }
    }

    function _checkJobs() private {
        for (uint256 id = coordinator.jobCount(); id != 0; --id) {
            Job memory j = coordinator.job(id);
            j.isFinal = false;
            Job memory seen = notes[id].job;
            if (keccak256(abi.encode(j)) == keccak256(abi.encode(seen))) continue;
            _checkStep(seen, j);
            if (seen.status == JobStatus.None) notes[id].createdAt = _now();
            if (seen.status != j.status) ++endings[j.status];
            notes[id].job = j;
        }
    }

    function _checkStep(Job memory a, Job memory b) private pure {
        assertTrue(_mayMove(a.status, b.status), "I4, I5: status moves along the graph and never from an end");
        bool isLeased = b.status == JobStatus.Leased;
        assertEq(b.attempts, a.attempts + (isLeased ? 1 : 0), "I6: one attempt per lease");
        if (a.status == JobStatus.None) return;
        assertEq(b.requester, a.requester, "I21: requester");
        assertEq(b.version, a.version, "I21: version");
        assertEq(b.escrow, a.escrow, "I21: escrow");
        if (b.status != JobStatus.Delivered) assertEq(b.digest, a.digest, "I21: request digest");
        if (!isLeased) assertEq(b.node, a.node, "the last holder stays named");
    }

    function _mayMove(JobStatus a, JobStatus b) private pure returns (bool) {
        if (a == JobStatus.None) return b == JobStatus.Open || b == JobStatus.Leased;
        if (a == JobStatus.Open) return b == JobStatus.Leased || b == JobStatus.Expired || b == JobStatus.Cancelled;
        return a == JobStatus.Leased && b != JobStatus.None && b != JobStatus.Cancelled;
    }
}
