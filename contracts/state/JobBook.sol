// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig, JobStatus} from "../interfaces/InferenceTypes.sol";
import {JobWord} from "../types/JobWord.sol";
import {NodeWord} from "../types/NodeWord.sol";
import {Entries} from "./Entries.sol";
import {Ledger} from "./Ledger.sol";
import {Staking} from "./Staking.sol";
import {Treasury} from "./Treasury.sol";
import {Versions} from "./Versions.sol";

/// @title The two words of every job, and the moves that several calls share. The whole storage of the coordinator.
/// @dev Ledger ← Treasury ← Versions ← Staking ← Entries ← JobBook: storage lies in this order, in both halves. What stands
/// on a JobBook, in market/ and office/, declares no storage of its own.
abstract contract JobBook is Entries {
    // ---------------------------------------------------------------- constants and immutables
    uint256 private constant REWARD_BPS = 1_000;

    uint256 internal immutable _NO_SHOW_REWARD_CAP;

    // ---------------------------------------------------------------- storage
    mapping(uint256 jobId => JobWord) internal _jobs;
    mapping(uint256 jobId => bytes32) internal _digests;

    // ---------------------------------------------------------------- constructor
    /// @dev Sets immutables only, apart from the owner: the books are opened by the market (InferenceCoordinator).
    constructor(CoordinatorConfig memory c)
        Ledger(c.token)
        Treasury(c.owner, c.clocks)
        Versions(c.modelRegistry, c.announceDelaySeconds, c.bounds)
        Staking(c.nodeRegistry)
        Entries(c.stakeUnit)
    {
        require(c.noShowRewardCap <= type(uint96).max, OutOfBounds());
        _NO_SHOW_REWARD_CAP = c.noShowRewardCap;
    }

    // ---------------------------------------------------------------- internal
    function _jobOf(uint256 jobId) internal view returns (JobWord w) {
        w = _jobs[jobId];
        require(w.status() != JobStatus.None, UnknownJob(jobId));
    }

    function _escrowGwei(JobWord w) internal view returns (uint256) {
        return _shareOf(_heads[w.version()].maxFeeGwei, w.share());
    }

    /// @dev Rounded up to a gwei: 48 by 9 bits.
    function _shareOf(uint256 maxFeeGwei, uint256 share) internal pure returns (uint256) {
        unchecked {
            return (maxFeeGwei * (share + 1) + 255) >> 8;
        }
    }

    function _lease(uint256 jobId, JobWord w, uint256 leaseSeconds, uint256 number, address operator, NodeWord word)
        internal
    {
        uint256 until = block.timestamp + leaseSeconds;
        _words[number] = word;
        _jobs[jobId] = w.leasedTo(number, until);
        emit JobLeased(jobId, operator, until);
    }

    function _open(uint256 jobId, JobWord w) internal {
        uint256 until = block.timestamp + _heads[w.version()].openSeconds;
        _jobs[jobId] = w.moved(JobStatus.Open, until);
        emit JobOpened(jobId, until);
    }

    /// @dev An ending that returns money to the requester. The event is the caller's.
    function _end(uint256 jobId, JobWord w, JobStatus status, uint256 refund) internal {
        _jobs[jobId] = w.moved(status, block.timestamp);
        _credit(w.requester(), refund);
    }

    function _expire(uint256 jobId, JobWord w, uint256 refund) internal {
        _end(jobId, w, JobStatus.Expired, refund);
        emit JobExpired(jobId, refund);
    }

    /// @dev The holder of a lapsed lease pays at most the escrow, as far as its stake goes, and loses its duty.
    function _punishNoShow(uint256 jobId, JobWord w, uint256 escrowGwei) internal {
        uint256 number = w.node();
        _words[number] = _words[number].released(escrowGwei);
        uint256 penalty = _slash(number, escrowGwei * 1 gwei);
        address operator = _records[number].operator;
        uint256 reward = _rewardOf(penalty, w.requester(), operator);
        if (reward != 0) _credit(msg.sender, reward);
        _collect(penalty - reward);
        emit NoShow(jobId, operator, penalty);
        _suspend(number);
    }

    /// @dev No penalty is ever paid to the requester, nor back to the node.
    function _rewardOf(uint256 penalty, address requester, address operator) private view returns (uint256) {
        if (msg.sender == requester || msg.sender == operator) return 0;
        uint256 part = (penalty * REWARD_BPS) / BPS;
        return part < _NO_SHOW_REWARD_CAP ? part : _NO_SHOW_REWARD_CAP;
    }
}
