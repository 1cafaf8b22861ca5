// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clocks, Job, JobStatus} from "../interfaces/InferenceTypes.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {JobWord} from "../types/JobWord.sol";
import {Duties} from "./Duties.sol";

/// @title What anyone may ask about money, clocks and jobs.
abstract contract MarketViews is Duties {
    /// Earnings of epoch e are final from epoch e + 2 on.
    uint256 private constant FINAL_AFTER_EPOCHS = 2;

    // ---------------------------------------------------------------- money and clocks
    /// @inheritdoc IJobMarket
    function token() external view returns (address) {
        return address(_TOKEN);
    }

    /// @inheritdoc IJobMarket
    function credit(address account) external view returns (uint256) {
        return _accounts[account].credit;
    }

    /// @inheritdoc IJobMarket
    function clocks() external view returns (Clocks memory) {
        // Each was a field of this type when it was set.
        return Clocks(uint32(_GRACE_SECONDS), uint32(_EPOCH_SECONDS), uint32(_COOL_DOWN_SECONDS), uint8(_MAX_ATTEMPTS));
    }

    /// @inheritdoc IJobMarket
    // solhint-disable-next-line func-name-mixedcase
    function MAX_FEE_BPS() external pure returns (uint256) {
        return FEE_CAP_BPS;
    }

    /// @inheritdoc IJobMarket
    function publisherBond() external view returns (uint256) {
        return _bond;
    }

    /// @inheritdoc IJobMarket
    function currentEpoch() external view returns (uint256) {
        return _epoch();
    }

    /// @inheritdoc IJobMarket
    function feeBpsAt(uint256 epoch) external view returns (uint256) {
        return _feeBpsOf(epoch);
    }

    /// @inheritdoc IJobMarket
    function collectableFees() external view returns (uint256) {
        return _fees;
    }

    /// @inheritdoc IJobMarket
    function treasury() external view returns (address) {
        return _treasury;
    }

    /// @inheritdoc IJobMarket
    function newWorkPaused() external view returns (bool) {
        return _counters.paused;
    }

    // ---------------------------------------------------------------- jobs
    /// @inheritdoc IJobMarket
    function noShowRewardCap() external view returns (uint256) {
        return _NO_SHOW_REWARD_CAP;
    }

    /// @inheritdoc IJobMarket
    function jobCount() external view returns (uint256) {
        return _counters.jobs;
    }

    /// @inheritdoc IJobMarket
    function job(uint256 jobId) external view returns (Job memory) {
        JobWord w = _jobOf(jobId);
        JobStatus status = w.status();
        bool isFinal = status > JobStatus.Delivered
            || (status == JobStatus.Delivered && _epoch() >= _epochOf(w.until()) + FINAL_AFTER_EPOCHS);
        return Job({
            requester: w.requester(),
            node: _records[w.node()].operator,
            until: uint64(w.until()), // the casts return fields to at least the widths they are stored in
            version: uint32(w.version()),
            status: status,
            attempts: uint8(w.attempts()),
            share: uint8(w.share()),
            isFinal: isFinal,
            escrow: _escrowGwei(w) * 1 gwei,
            digest: _digests[jobId]
        });
    }
}
