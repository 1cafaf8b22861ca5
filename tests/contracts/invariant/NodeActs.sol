// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {FailureCode, Job, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {RequesterActs} from "./RequesterActs.sol";

/// @title What nodes do with jobs: in time and late, as holders and as strangers.
abstract contract NodeActs is RequesterActs {
    function deliver(uint256 jobSeed, uint256 seed, uint256 inputTokens, uint256 outputTokens) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        if (id == 0) return;
        bytes32 digest = seed % 16 == 1 ? bytes32(seed) : j.digest;
        _deliver(id, j, _holderOrOther(j, seed), digest, inputTokens % 2_048, outputTokens % 2_048);
    }

    function take(uint256 jobSeed, uint256 seed) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        if (id != 0) _take(id, j, _pick(operators, seed));
    }

    function fail(uint256 jobSeed, uint256 seed, uint256 codeSeed) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        FailureCode code = FailureCode(codeSeed % (uint256(type(FailureCode).max) + 1));
        if (id != 0) _fail(id, j, _holderOrOther(j, seed), code);
    }

    // ---------------------------------------------------------------- internal
    function _holderOrOther(Job memory j, uint256 seed) internal view returns (address) {
        return seed % 4 == 0 || j.node == address(0) ? _pick(parties, seed / 4) : j.node;
    }

    function _deliver(uint256 id, Job memory j, address caller, bytes32 digest, uint256 inputs, uint256 outputs)
        internal
        watched(caller)
    {
        bytes memory data = abi.encodeWithSignature(
            "submitResponse(uint256,string,bytes32,uint32,uint32)", id, ANSWER, digest, inputs, outputs
        );
        bool isDue = _isHeldBy(j, caller) && digest == j.digest;
        uint256 price = _priceOf(j, inputs, outputs);
        uint256 owed = coordinator.credit(j.requester) + j.escrow - price;
        _market(caller, data, isDue, "I13 deliver");
        if (!isDue) return;
        earnedIn[j.node][coordinator.currentEpoch()] += price;
        // A requester who is paid for this node's work may get matured earnings in the same call.
        if (j.requester == coordinator.node(j.node).payout) assertGe(coordinator.credit(j.requester), owed, "I3 deliver");
        else assertEq(coordinator.credit(j.requester), owed, "I3 deliver: price and refund are the escrow");
    }

    function _take(uint256 id, Job memory j, address caller) internal watched(caller) {
        bool isDue = _mayTake(j, caller);
        uint256 penalty = _hasLapsed(j) ? _chargeable(j.node, j.escrow) : 0;
        Node memory holder = coordinator.node(j.node);
        _market(caller, abi.encodeCall(IJobMarket.takeJob, id), isDue, "I24 take");
        if (!isDue) return;
        assertEq(coordinator.job(id).node, caller, "I6 take: the taker holds the lease");
        if (j.status != JobStatus.Leased) return;
        ++noShows;
        Node memory punished = coordinator.node(j.node);
        assertEq(punished.stake + punished.cooling + penalty, holder.stake + holder.cooling, "I8 take: penalty");
        assertTrue(punished.suspended && punished.slots == 0, "a no-show is off duty until it resumes");
    }

    function _fail(uint256 id, Job memory j, address caller, FailureCode code) internal watched(caller) {
        bool isDue = _isHeldBy(j, caller);
        bool isNodesFault = code == FailureCode.Busy || code == FailureCode.EngineFailed;
        uint256 charge = isNodesFault ? _chargeable(caller, j.escrow / 50) : j.escrow / 50;
        Node memory n = coordinator.node(caller);
        uint256 feesAndCharge = coordinator.collectableFees() + charge;
        uint256 credit = coordinator.credit(j.requester);
        _market(caller, abi.encodeWithSignature("failJob(uint256,uint8)", id, code), isDue, "I24 fail");
        if (!isDue) return;
        Node memory after_ = coordinator.node(caller);
        assertEq(coordinator.collectableFees(), feesAndCharge, "fail: the charge goes to the treasury");
        assertEq(n.stake + n.cooling - after_.stake - after_.cooling, isNodesFault ? charge : 0, "I8 fail: charge");
        if (!isNodesFault) assertEq(coordinator.credit(j.requester), credit + j.escrow - charge, "I3 fail: refund");
    }
}
