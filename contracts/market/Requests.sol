// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../interfaces/InferenceTypes.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {VersionCode} from "../libraries/VersionCode.sol";
import {JobWord, JobWordLib} from "../types/JobWord.sol";
import {NodeWord} from "../types/NodeWord.sol";
import {Wallet} from "./Wallet.sol";

/// @title The requester's side of a job: submit, cancel, and the refund that anyone may ask for.
abstract contract Requests is Wallet {
    using VersionCode for address;

    uint8 private constant WHOLE = type(uint8).max;
    /// What the longest draw and the writes after it can need. Without the check an estimate for a lucky draw, used to the
    /// unit as the limit, would run out in an unlucky one.
    uint256 private constant DRAW_GAS = 75_000;

    // ---------------------------------------------------------------- requesters
    /// @inheritdoc IJobMarket
    function submitPrompt(string calldata promptCID, string calldata modelId) external returns (uint256 jobId) {
        return _submit(promptCID, modelId, type(uint256).max, WHOLE, address(0));
    }

    /// @inheritdoc IJobMarket
    function submitPrompt(
        string calldata promptCID,
        string calldata modelId,
        uint256 ceiling,
        uint8 share,
        address node_
    ) external returns (uint256 jobId) {
        return _submit(promptCID, modelId, ceiling, share, node_);
    }

    /// @inheritdoc IJobMarket
    function submitPromptWithCID(string calldata promptCID, string calldata modelCID)
        external
        returns (uint256 jobId)
    {
        return _submit(promptCID, _modelIdOfCID(modelCID), type(uint256).max, WHOLE, address(0));
    }

    /// @inheritdoc IJobMarket
    function cancelJob(uint256 jobId) external {
        JobWord w = _jobOf(jobId);
        require(w.status() == JobStatus.Open, WrongStatus(w.status()));
        require(w.requester() == msg.sender, NotRequester());
        uint256 refund = _escrowGwei(w) * 1 gwei;
        _end(jobId, w, JobStatus.Cancelled, refund);
        emit JobCancelled(jobId, refund);
    }

    // ---------------------------------------------------------------- anyone
    /// @inheritdoc IJobMarket
    function expireJob(uint256 jobId) external {
        JobWord w = _jobOf(jobId);
        JobStatus status = w.status();
        require(status == JobStatus.Open || status == JobStatus.Leased, WrongStatus(status));
        uint256 last = _lastSecondOf(w, status);
        require(block.timestamp > last, TooEarly(last + 1));
        uint256 escrowGwei = _escrowGwei(w);
        if (status == JobStatus.Leased) _punishNoShow(jobId, w, escrowGwei);
        _expire(jobId, w, escrowGwei * 1 gwei);
    }

    // ---------------------------------------------------------------- internal
    /// @dev A lapsed lease leaves the job in the open for as long as any other, unless it was the last attempt.
    function _lastSecondOf(JobWord w, JobStatus status) internal view returns (uint256 last) {
        last = w.until();
        if (status == JobStatus.Open) return last;
        last += _GRACE_SECONDS;
        if (w.attempts() < _MAX_ATTEMPTS) last += _heads[w.version()].openSeconds;
    }

    function _nextJob() private returns (uint256) {
        _requireNewWork();
        unchecked {
            return ++_counters.jobs; // 64 bits do not run out
        }
    }

    function _submit(string calldata promptCID, string memory modelId, uint256 ceiling, uint8 share, address named)
        private
        returns (uint256 jobId)
    {
        jobId = _nextJob();
        _checkCID(promptCID);
        bytes32 key = _keyOf(modelId);
        (uint256 number, address code) = _servingVersion(key);
        Head storage h = _heads[number];
        uint256 escrowGwei = _reserve(h, ceiling, share);
        string memory modelCID = code.cidOf();
        bytes32 promptHash = keccak256(bytes(promptCID));
        _digests[jobId] = keccak256(abi.encode(jobId, msg.sender, promptHash, key, keccak256(bytes(modelCID))));
        emit InferenceRequested(jobId, msg.sender, promptCID, modelId, modelCID);
        _assign(jobId, JobWordLib.create(msg.sender, number, share), h, escrowGwei, named);
    }

    /// @dev Moves the escrow out of the caller's credit: from here on the job's status and share stand for it.
    function _reserve(Head storage h, uint256 ceiling, uint8 share) private returns (uint256 escrowGwei) {
        (uint256 maxFeeGwei, uint256 flatFeeGwei) = (h.maxFeeGwei, h.flatFeeGwei);
        require(maxFeeGwei * 1 gwei <= ceiling, CeilingExceeded(maxFeeGwei * 1 gwei, ceiling));
        escrowGwei = _shareOf(maxFeeGwei, share);
        require(escrowGwei >= flatFeeGwei, EscrowBelowFlatFee(escrowGwei * 1 gwei, flatFeeGwei * 1 gwei));
        _debit(msg.sender, escrowGwei * 1 gwei);
    }

    function _assign(uint256 jobId, JobWord w, Head storage h, uint256 escrowGwei, address named) private {
        uint256 number;
        address operator = named;
        NodeWord word;
        if (named != address(0)) {
            (number, word) = _requireEligible(named, w.version(), escrowGwei);
        } else {
            require(gasleft() >= DRAW_GAS, TooLittleGas(DRAW_GAS));
            // Cheap entropy a submitter can re-roll: nothing about money rests on who is drawn.
            uint256 seed = uint256(keccak256(abi.encode(block.prevrandao, jobId, msg.sender)));
            (number, operator, word) = _draw(w.version(), h.entries, escrowGwei, seed);
        }
        if (number != 0) _lease(jobId, w, h.leaseSeconds, number, operator, word.leased(escrowGwei));
        else _open(jobId, w);
    }
}
