// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {Job, JobStatus, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Rules} from "./Rules.sol";

/// @title What requesters do, and what anyone does to their jobs.
abstract contract RequesterActs is Rules {
    struct Wish {
        address who;
        string id;
        uint256 ceiling;
        uint8 share;
        address named;
    }

    // ---------------------------------------------------------------- ledger
    function deposit(uint256 seed, uint256 amount) external {
        _deposit(_pick(people, seed), amount % 50 ether);
    }

    function withdraw(uint256 seed, uint256 toSeed, uint256 amount) external {
        _withdraw(_pick(parties, seed), _pick(parties, toSeed), amount);
    }

    // ---------------------------------------------------------------- jobs
    function submit(uint256 seed, uint256 modelSeed, uint256 share, uint256 ceiling, uint256 nodeSeed) external {
        address named = nodeSeed % 3 == 0 ? _pick(operators, nodeSeed / 3) : address(0);
        uint256 limit = ceiling % 8 == 0 ? ceiling % 3 ether : type(uint256).max;
        _submit(Wish(_pick(people, seed), _modelId(modelSeed), limit, uint8(share), named));
    }

    /// @dev Tops up and submits with the documented call, in one transaction.
    function topUpAndSubmit(uint256 seed) external {
        _topUpAndSubmit(_pick(people, seed));
    }

    function cancel(uint256 jobSeed, uint256 seed) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        if (id != 0) _cancel(id, j, seed % 4 == 0 ? _pick(parties, seed) : j.requester);
    }

    function expire(uint256 jobSeed, uint256 seed) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        if (id != 0) _expireBy(id, j, _pick(parties, seed));
    }

    // ---------------------------------------------------------------- internal
    /// @dev A job that is alive, if there is one among the latest; now and then any. Id 0 if there is none at all.
    function _someJob(uint256 seed) internal view returns (uint256 id, Job memory j) {
        uint256 count = coordinator.jobCount();
        if (count == 0) return (0, j);
        uint256 window = count < 8 ? count : 8;
        for (uint256 i; i < window; ++i) {
            id = count - (seed / 8 + i) % window;
            j = coordinator.job(id);
            if (isAlive(j) && seed % 8 != 0) return (id, j);
        }
        id = 1 + (seed / 8) % count;
        j = coordinator.job(id);
    }

    function _deposit(address who, uint256 amount) private watched(who) {
        _market(who, abi.encodeCall(IJobMarket.deposit, amount), amount != 0, "deposit");
    }

    function _withdraw(address who, address to, uint256 seed) private watched(who) {
        uint256 credit = coordinator.credit(who);
        uint256 amount = seed % (credit + credit / 4 + 2);
        bool isDue = amount != 0 && amount <= credit;
        _market(who, abi.encodeCall(IJobMarket.withdrawTo, (to, amount)), isDue, "I15 withdraw");
    }

    function _submit(Wish memory w) internal watched(w.who) {
        (uint256 version,) = coordinator.currentVersion(w.id);
        bytes memory data = abi.encodeWithSignature(
            "submitPrompt(string,string,uint256,uint8,address)", PROMPT, w.id, w.ceiling, w.share, w.named
        );
        if (version == 0) {
            _market(w.who, data, false, "submit to no model");
            return;
        }
        uint256 escrow = _escrowOf(coordinator.version(version).terms, w.share);
        bool isDue = _isServed(w.id) && _isWellPaid(w, version, escrow)
            && (w.named == address(0) || isEligible(w.named, version, escrow));
        bool[] memory could = _eligibleNodes(version, escrow);
        _market(w.who, data, isDue, "submit");
        if (isDue) _checkAssignment(w, version, escrow, could);
    }

    function _isServed(string memory id) private view returns (bool) {
        return !coordinator.newWorkPaused() && modelRegistry.getModel(id).isActive;
    }

    function _isWellPaid(Wish memory w, uint256 version, uint256 escrow) private view returns (bool) {
        Terms memory t = coordinator.version(version).terms;
        bool isWithin = uint256(t.maxFeeGwei) * 1 gwei <= w.ceiling && escrow >= uint256(t.flatFeeGwei) * 1 gwei;
        return isWithin && coordinator.credit(w.who) >= escrow;
    }

    function _eligibleNodes(uint256 version, uint256 escrow) private view returns (bool[] memory could) {
        could = new bool[](operators.length);
        for (uint256 i; i < could.length; ++i) {
            could[i] = isEligible(operators[i], version, escrow);
            assertEq(coordinator.isEligible(operators[i], version, escrow), could[i], "isEligible");
        }
    }

    function _checkAssignment(Wish memory w, uint256 version, uint256 escrow, bool[] memory could) private view {
        Job memory j = coordinator.job(coordinator.jobCount());
        assertEq(j.requester, w.who, "submit: requester");
        assertEq(j.version, version, "submit: version");
        assertEq(j.escrow, escrow, "I26 submit: escrow is the share, rounded up to a gwei");
        if (w.named != address(0)) assertEq(j.node, w.named, "submit: the named node");
        for (uint256 i; i < could.length; ++i) {
            if (j.node == operators[i]) assertTrue(could[i], "I22 submit: only an eligible node is leased a job");
        }
    }

    function _topUpAndSubmit(address who) private watched(who) {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IJobMarket.deposit, 1 ether);
        calls[1] = abi.encodeWithSignature("submitPrompt(string,string)", PROMPT, modelIds[0]);
        (uint256 version,) = coordinator.currentVersion(modelIds[0]);
        uint256 escrow = _escrowOf(coordinator.version(version).terms, 255);
        bool isDue = _isServed(modelIds[0]) && coordinator.credit(who) + 1 ether >= escrow;
        _market(who, abi.encodeCall(IJobMarket.multicall, (calls)), isDue, "multicall");
    }

    function _cancel(uint256 id, Job memory j, address caller) private watched(caller) {
        bool isDue = j.status == JobStatus.Open && caller == j.requester;
        uint256 credit = coordinator.credit(j.requester);
        _market(caller, abi.encodeCall(IJobMarket.cancelJob, id), isDue, "I24 cancel");
        if (isDue) assertEq(coordinator.credit(j.requester), credit + j.escrow, "I12 cancel: full refund");
    }

    function _expireBy(uint256 id, Job memory j, address caller) internal watched(caller) {
        bool isDue = _mayExpire(j);
        uint256 owed = coordinator.credit(j.requester) + j.escrow;
        _market(caller, abi.encodeCall(IJobMarket.expireJob, id), isDue, "I25 expire");
        if (!isDue) return;
        if (j.status == JobStatus.Leased) ++noShows;
        // The one who reports is rewarded, unless it is the requester.
        if (caller == j.requester) assertEq(coordinator.credit(caller), owed, "I12 expire: full refund, no reward");
        else assertGe(coordinator.credit(j.requester), owed, "I12 expire: full refund");
    }
}
