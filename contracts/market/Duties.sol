// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, JobStatus} from "../interfaces/InferenceTypes.sol";
import {IJobMarket} from "../interfaces/IJobMarket.sol";
import {JobWord} from "../types/JobWord.sol";
import {NodeWord} from "../types/NodeWord.sol";
import {Requests} from "./Requests.sol";

/// @title The node's side of a job: deliver it, take it, hand it back.
abstract contract Duties is Requests {
    /// The charge for handing a job back is the escrow divided by this; a gwei divides by it evenly.
    uint256 private constant HAND_BACK_DIVISOR = 50;

    // ---------------------------------------------------------------- delivery
    /// @inheritdoc IJobMarket
    function submitResponse(uint256 jobId, string calldata responseCID) external {
        _deliver(jobId, responseCID, _digests[jobId], 0, 0);
    }

    /// @inheritdoc IJobMarket
    function submitResponse(uint256 jobId, string calldata responseCID, bytes32 requestDigest) external {
        _deliver(jobId, responseCID, requestDigest, 0, 0);
    }

    /// @inheritdoc IJobMarket
    function submitResponse(
        uint256 jobId,
        string calldata responseCID,
        bytes32 requestDigest,
        uint32 inputTokens,
        uint32 outputTokens
    ) external {
        _deliver(jobId, responseCID, requestDigest, inputTokens, outputTokens);
    }

    // ---------------------------------------------------------------- take and hand back
    /// @inheritdoc IJobMarket
    function takeJob(uint256 jobId) external {
        _requireNewWork();
        JobWord w = _jobOf(jobId);
        JobStatus status = w.status();
        require(status == JobStatus.Open || status == JobStatus.Leased, WrongStatus(status));
        _requireTakeable(w, status);
        uint256 escrowGwei = _escrowGwei(w);
        (uint256 number, NodeWord word) = _requireEligible(msg.sender, w.version(), escrowGwei);
        require(number != w.node(), SameNode());
        if (status == JobStatus.Leased) _punishNoShow(jobId, w, escrowGwei);
        _lease(jobId, w, _heads[w.version()].leaseSeconds, number, msg.sender, word.leased(escrowGwei));
    }

    /// @inheritdoc IJobMarket
    function failJob(uint256 jobId, FailureCode code) external {
        _fail(jobId, code, _digests[jobId]);
    }

    /// @inheritdoc IJobMarket
    function failJob(uint256 jobId, FailureCode code, bytes32 requestDigest) external {
        _fail(jobId, code, requestDigest);
    }

    // ---------------------------------------------------------------- internal
    function _fail(uint256 jobId, FailureCode code, bytes32 requestDigest) private {
        JobWord w = _heldJob(jobId, requestDigest);
        uint256 number = w.node();
        uint256 escrowGwei = _escrowGwei(w);
        _words[number] = _words[number].released(escrowGwei);
        uint256 escrow = escrowGwei * 1 gwei;
        uint256 charge = escrow / HAND_BACK_DIVISOR;
        if (code == FailureCode.Busy || code == FailureCode.EngineFailed) {
            _handBack(jobId, w, code, escrow, charge);
        } else {
            _collect(charge);
            _end(jobId, w, JobStatus.Failed, escrow - charge);
            emit JobFailed(jobId, msg.sender, code, escrow - charge);
        }
    }

    /// @dev The job, if it is this request, and the caller holds its lease and may still act on it.
    function _heldJob(uint256 jobId, bytes32 requestDigest) private view returns (JobWord w) {
        w = _jobOf(jobId);
        require(w.status() == JobStatus.Leased, WrongStatus(w.status()));
        require(w.node() == _accounts[msg.sender].node, NotLeaseHolder());
        uint256 last = w.until() + _GRACE_SECONDS;
        require(block.timestamp <= last, TooLate(last));
        require(_digests[jobId] == requestDigest, WrongRequest());
    }

    function _deliver(
        uint256 jobId,
        string calldata responseCID,
        bytes32 requestDigest,
        uint256 inputTokens,
        uint256 outputTokens
    ) private {
        _checkCID(responseCID);
        JobWord w = _heldJob(jobId, requestDigest);
        (uint256 priceGwei, uint256 escrowGwei) = _priceOf(w, inputTokens, outputTokens);
        uint256 price = priceGwei * 1 gwei;
        _jobs[jobId] = w.moved(JobStatus.Delivered, block.timestamp);
        _digests[jobId] = keccak256(abi.encode(requestDigest, keccak256(bytes(responseCID)), price));
        _words[w.node()] = _rolled(w.node()).released(escrowGwei).earned(priceGwei);
        if (priceGwei != escrowGwei) {
            uint256 refund = escrowGwei * 1 gwei - price;
            _credit(w.requester(), refund);
            emit JobSettled(jobId, price, refund);
        }
        emit InferenceCompleted(jobId, msg.sender, responseCID);
    }

    function _priceOf(JobWord w, uint256 inputTokens, uint256 outputTokens)
        private
        view
        returns (uint256 priceGwei, uint256 escrowGwei)
    {
        Head memory h = _heads[w.version()];
        escrowGwei = _shareOf(h.maxFeeGwei, w.share());
        unchecked {
            // 32-bit counts times 40-bit prices
            priceGwei = h.flatFeeGwei + inputTokens * h.inputPriceGwei + outputTokens * h.outputPriceGwei;
        }
        if (priceGwei > escrowGwei) priceGwei = escrowGwei;
    }

    function _requireTakeable(JobWord w, JobStatus status) private view {
        uint256 last = _lastSecondOf(w, status);
        if (status == JobStatus.Leased) {
            uint256 leaseEnd = w.until() + _GRACE_SECONDS;
            require(block.timestamp > leaseEnd, TooEarly(leaseEnd + 1));
        }
        require(block.timestamp <= last, TooLate(last));
    }

    function _handBack(uint256 jobId, JobWord w, FailureCode code, uint256 escrow, uint256 charge) private {
        uint256 taken = _slash(w.node(), charge);
        _collect(taken);
        emit JobHandedBack(jobId, msg.sender, code, taken);
        if (w.attempts() < _MAX_ATTEMPTS) _open(jobId, w);
        else _expire(jobId, w, escrow);
    }
}
