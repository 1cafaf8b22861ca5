// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {Job, JobStatus, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Rules} from "./Rules.sol";

/// @title What requesters do, and what anyone does to their jobs.
abstract contract RequesterActs is Rules {
    // ---------------------------------------------------------------- ledger
    function deposit(uint256 seed, uint256 amount) external {
        _deposit(_pick(people, seed), amount % 20 ether);
    }

    function withdraw(uint256 seed, uint256 toSeed, uint256 amount) external {
        _withdraw(_pick(parties, seed), _pick(parties, toSeed), amount);
    }

    // ---------------------------------------------------------------- jobs
    function submit(uint256 seed, uint256 modelSeed, uint256 share, uint256 ceiling, uint256 nodeSeed) external {
        address named = nodeSeed % 3 == 0 ? _pick(operators, nodeSeed / 3) : address(0);
        uint256 limit = ceiling % 8 == 0 ? ceiling % 3 ether : type(uint256).max;
        _submit(_pick(people, seed), _modelId(modelSeed), limit, uint8(share), named);
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
    /// @dev A late job, more often than an early one. Id 0 if there is none.
    function _someJob(uint256 seed) internal view returns (uint256 id, Job memory j) {
        uint256 count = coordinator.jobCount();
        if (count == 0) return (0, j);
        id = seed % 8 == 0 ? 1 + (seed / 8) % count : count - (seed / 8) % (count < 5 ? count : 5);
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

    function _submit(address who, string memory id, uint256 ceiling, uint8 share, address named) private watched(who) {
        (uint256 version,) = coordinator.currentVersion(id);
        bytes memory data = abi.encodeWithSignature(
            "submitPrompt(string,string,uint256,uint8,address)", PROMPT, id, ceiling, share, named
        );
        if (version == 0) {
            _market(who, data, false, "submit to no model");
            return;
        }
        Terms memory t = coordinator.version(version).terms;
        uint256 escrow = _escrowOf(t, share);
        bool isServed = !coordinator.newWorkPaused() && modelRegistry.getModel(id).isActive;
        bool isPaid = coordinator.credit(who) >= escrow && uint256(t.maxFeeGwei) * 1 gwei <= ceiling;
        bool isEnough = escrow >= uint256(t.flatFeeGwei) * 1 gwei;
        bool isFree = named == address(0) || isEligible(named, version, escrow);
        bool[] memory could = _eligibleNodes(version, escrow);
        bool isDue = isServed && isPaid && isEnough && isFree;
        _market(who, data, isDue, "submit");
        if (isDue) _checkAssignment(who, version, escrow, named, could);
    }

    function _eligibleNodes(uint256 version, uint256 escrow) private view returns (bool[] memory could) {
        could = new bool[](operators.length);
        for (uint256 i; i < could.length; ++i) {
            could[i] = isEligible(operators[i], version, escrow);
            assertEq(coordinator.isEligible(operators[i], version, escrow), could[i], "isEligible");
        }
    }

    function _checkAssignment(address who, uint256 version, uint256 escrow, address named, bool[] memory could)
        private
        view
    {
        Job memory j = coordinator.job(coordinator.jobCount());
        assertEq(j.requester, who, "submit: requester");
        assertEq(j.version, version, "submit: version");
        assertEq(j.escrow, escrow, "I26 submit: escrow is the share, rounded up to a gwei");
        if (named != address(0)) assertEq(j.node, named, "submit: the named node");
        for (uint256 i; i < could.length; ++i) {
            if (j.node == operators[i]) assertTrue(could[i], "I22 submit: only an eligible node is leased a job");
        }
    }

    function _topUpAndSubmit(address who) private watched(who) {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(IJobMarket.deposit, 1 ether);
        calls[1] = abi.encodeWithSignature("submitPrompt(string,string)", PROMPT, modelIds[0]);
        bool isDue = !coordinator.newWorkPaused() && modelRegistry.getModel(modelIds[0]).isActive;
        (uint256 version,) = coordinator.currentVersion(modelIds[0]);
        isDue = isDue && coordinator.credit(who) + 1 ether >= _escrowOf(coordinator.version(version).terms, 255);
        _market(who, abi.encodeCall(IJobMarket.multicall, (calls)), isDue, "multicall");
    }

    function _cancel(uint256 id, Job memory j, address caller) private watched(caller) {
        bool isDue = j.status == JobStatus.Open && caller == j.requester;
        uint256 credit = coordinator.credit(j.requester);
        _market(caller, abi.encodeCall(IJobMarket.cancelJob, id), isDue, "I24 cancel");
        if (isDue) assertEq(coordinator.credit(j.requester), credit + j.escrow, "I12 cancel: full refund");
    }

    function _expireBy(uint256 id, Job memory j, address caller) private watched(caller) {
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
