// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Job, JobStatus, Node, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Memory} from "./Memory.sol";

/// @title The rules of a job, told a second time and as plainly as possible.
abstract contract Rules is Memory {
    // ---------------------------------------------------------------- jobs
    function isAlive(Job memory j) public pure returns (bool) {
        return j.status == JobStatus.Open || j.status == JobStatus.Leased;
    }

    function termsOf(Job memory j) public view returns (Terms memory) {
        return coordinator.version(j.version).terms;
    }

    function _isHeldBy(Job memory j, address caller) internal view returns (bool) {
        return j.status == JobStatus.Leased && caller == j.node && _now() <= j.until + GRACE;
    }

    function _hasLapsed(Job memory j) internal view returns (bool) {
        return j.status == JobStatus.Leased && _now() > j.until + GRACE;
    }

    /// @dev The last second in which a node may still get the job.
    function _lastSecond(Job memory j) internal view returns (uint256) {
        if (j.status == JobStatus.Open) return j.until;
        return j.until + GRACE + (j.attempts < ATTEMPTS ? termsOf(j).openSeconds : 0);
    }

    function _mayTake(Job memory j, address caller) internal view returns (bool) {
        if (!isAlive(j) || coordinator.newWorkPaused() || caller == j.node) return false;
        if (j.status == JobStatus.Leased && !_hasLapsed(j)) return false;
        return _now() <= _lastSecond(j) && isEligible(caller, j.version, j.escrow);
    }

    function _mayExpire(Job memory j) internal view returns (bool) {
        return isAlive(j) && _now() > _lastSecond(j);
    }

    // ---------------------------------------------------------------- money
    function _escrowOf(Terms memory t, uint256 share) internal pure returns (uint256) {
        uint256 parts = uint256(t.maxFeeGwei) * (share + 1);
        return (parts / 256 + (parts % 256 == 0 ? 0 : 1)) * 1 gwei;
    }

    function _priceOf(Job memory j, uint256 inputTokens, uint256 outputTokens) internal view returns (uint256) {
        Terms memory t = termsOf(j);
        uint256 price = t.flatFeeGwei + inputTokens * t.inputPriceGwei + outputTokens * t.outputPriceGwei;
        return price * 1 gwei < j.escrow ? price * 1 gwei : j.escrow;
    }

    /// @dev What a no-show or a hand-back costs: never more than there is.
    function _chargeable(address operator, uint256 amount) internal view returns (uint256) {
        Node memory n = coordinator.node(operator);
        return amount < n.stake + n.cooling ? amount : n.stake + n.cooling;
    }

    /// @dev Earned and not final in this epoch.
    function _unsettledEarnings(address operator) internal view returns (uint256) {
        uint256 epoch = coordinator.currentEpoch();
        return earnedIn[operator][epoch] + earnedIn[operator][epoch - 1];
    }

    // ---------------------------------------------------------------- nodes
    /// @dev Ten times the work that is not final, this job's included, is covered by whole tokens of stake.
    function isEligible(address operator, uint256 version, uint256 escrow) public view returns (bool) {
        Node memory n = coordinator.node(operator);
        uint256 unsettled = n.escrowInFlight + _unsettledEarnings(operator) + escrow;
        bool isCovered = 10 * unsettled <= (n.stake / 1 ether) * 1 ether;
        return isCovered && n.inFlight < n.slots && _hasJoined(operator, version);
    }

    function _hasJoined(address operator, uint256 version) internal view returns (bool) {
        uint256[] memory joined = coordinator.joinedVersions(operator);
        for (uint256 i; i < joined.length; ++i) {
            if (joined[i] == version) return true;
        }
        return false;
    }
}
