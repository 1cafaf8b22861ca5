// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobStatus} from "../interfaces/InferenceTypes.sol";

/// A job in one word, from the low end:
/// requester 160 | node number 24 | until 32 | version 24 | status 4 | attempts 4 | share 8
/// No amount is stored: the escrow follows from the version's maxFee and the share. `until` is a second; what it means
/// depends on the status. The node number stays after a lease ends, so that its holder cannot take the job right again.
type JobWord is uint256;

using JobWordLib for JobWord global;

library JobWordLib {
    uint256 private constant MASK_4 = 0xf;
    uint256 private constant MASK_24 = type(uint24).max;
    uint256 private constant MASK_32 = type(uint32).max;
    uint256 private constant NODE_AT = 160;
    uint256 private constant UNTIL_AT = 184;
    uint256 private constant VERSION_AT = 216;
    uint256 private constant STATUS_AT = 240;
    uint256 private constant ATTEMPTS_AT = 244;
    uint256 private constant SHARE_AT = 248;

    function create(address requester_, uint256 version_, uint256 share_) internal pure returns (JobWord) {
        return JobWord.wrap(uint160(requester_) | (version_ << VERSION_AT) | (share_ << SHARE_AT));
    }

    // ---------------------------------------------------------------- fields
    function requester(JobWord w) internal pure returns (address) {
        return address(uint160(JobWord.unwrap(w))); // the cast is the mask
    }

    function node(JobWord w) internal pure returns (uint256) {
        return (JobWord.unwrap(w) >> NODE_AT) & MASK_24;
    }

    function until(JobWord w) internal pure returns (uint256) {
        return (JobWord.unwrap(w) >> UNTIL_AT) & MASK_32;
    }

    function version(JobWord w) internal pure returns (uint256) {
        return (JobWord.unwrap(w) >> VERSION_AT) & MASK_24;
    }

    function status(JobWord w) internal pure returns (JobStatus) {
        return JobStatus((JobWord.unwrap(w) >> STATUS_AT) & MASK_4);
    }

    function attempts(JobWord w) internal pure returns (uint256) {
        return (JobWord.unwrap(w) >> ATTEMPTS_AT) & MASK_4;
    }

    function share(JobWord w) internal pure returns (uint256) {
        return JobWord.unwrap(w) >> SHARE_AT;
    }

    // ---------------------------------------------------------------- changes
    /// One more lease. Never called beyond the cap on attempts, so the field cannot overflow.
    function leasedTo(JobWord w, uint256 node_, uint256 until_) internal pure returns (JobWord) {
        unchecked {
            uint256 rest = JobWord.unwrap(w) & ~(MASK_24 << NODE_AT);
            return JobWord.wrap(rest + (1 << ATTEMPTS_AT) + (node_ << NODE_AT)).moved(JobStatus.Leased, until_);
        }
    }

    function moved(JobWord w, JobStatus status_, uint256 until_) internal pure returns (JobWord) {
        uint256 rest = JobWord.unwrap(w) & ~((MASK_4 << STATUS_AT) | (MASK_32 << UNTIL_AT));
        return JobWord.wrap(rest | (uint256(status_) << STATUS_AT) | ((until_ & MASK_32) << UNTIL_AT));
    }
}
