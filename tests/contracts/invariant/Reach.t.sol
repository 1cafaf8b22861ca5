// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Actors} from "./Actors.sol";

/// @title Laws hold easily where nothing happens: random acts have to reach every ending of a job.
contract Reach is Test {
    uint256 private constant ACTS = 1_200;

    function test_randomActs__reachEveryEnding() external {
        vm.pauseGasMetering(); // it is a long test, and the campaigns measure gas
        Actors actors = new Actors();
        bytes4[36] memory acts = _acts(actors);
        for (uint256 i; i < ACTS; ++i) {
            bytes memory data = abi.encodePacked(acts[_random(i, 0) % acts.length]);
            for (uint256 word = 1; word <= 5; ++word) {
                data = abi.encodePacked(data, _random(i, word));
            }
            Address.functionCall(address(actors), data);
        }
        for (uint256 status = uint256(JobStatus.Delivered); status <= uint256(type(JobStatus).max); ++status) {
            assertGt(actors.endings(JobStatus(status)), 4, string.concat("status hardly ever reached: ", vm.toString(status)));
        }
        assertGt(actors.noShows(), 4, "leases hardly lapse");
        assertEq(actors.market().versionCount(), 8, "versions are not announced");
    }

    function _random(uint256 act, uint256 word) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(act, word)));
    }

    function _acts(Actors a) private pure returns (bytes4[36] memory) {
        return [
            a.submit.selector,
            a.submit.selector,
            a.submit.selector,
            a.topUpAndSubmit.selector,
            a.deposit.selector,
            a.serve.selector,
            a.withdraw.selector,
            a.cancel.selector,
            a.expire.selector,
            a.deliver.selector,
            a.deliver.selector,
            a.take.selector,
            a.take.selector,
            a.fail.selector,
            a.fail.selector,
            a.stake.selector,
            a.requestUnstake.selector,
            a.withdrawStake.selector,
            a.resume.selector,
            a.resume.selector,
            a.settle.selector,
            a.setSlots.selector,
            a.join.selector,
            a.join.selector,
            a.join.selector,
            a.leave.selector,
            a.prune.selector,
            a.pause.selector,
            a.toggleModel.selector,
            a.updateModel.selector,
            a.publishModel.selector,
            a.pass.selector,
            a.actAtEdge.selector,
            a.actAtEdge.selector,
            a.passEpochs.selector,
            a.registerOrLeave.selector
        ];
    }
}
