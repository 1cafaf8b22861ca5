// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {JobStatus} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Actors} from "./Actors.sol";

/// @title Laws hold easily where nothing happens: random acts have to reach every ending of a job.
contract Reach is Test {
    uint256 private constant ACTS = 1_500;

    function test_randomActs__reachEveryEnding() external {
        Actors actors = new Actors();
        bytes4[26] memory acts = _acts();
        for (uint256 i; i < ACTS; ++i) {
            bytes memory data = abi.encodePacked(acts[_random(i, 0) % acts.length]);
            for (uint256 word = 1; word <= 5; ++word) {
                data = abi.encodePacked(data, _random(i, word));
            }
            (bool ok,) = address(actors).call(data);
            assertTrue(ok, "a law is broken");
        }
        for (uint256 status = uint256(JobStatus.Delivered); status <= uint256(type(JobStatus).max); ++status) {
            assertGt(actors.endings(JobStatus(status)), 4, "an ending is hardly reached");
        }
        assertGt(actors.noShows(), 4, "leases hardly lapse");
        assertEq(actors.market().versionCount(), 8, "versions are not announced");
    }

    function _random(uint256 act, uint256 word) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(act, word)));
    }

    function _acts() private pure returns (bytes4[26] memory) {
        return [
            Actors.submit.selector,
            Actors.submit.selector,
            Actors.topUpAndSubmit.selector,
            Actors.deposit.selector,
            Actors.withdraw.selector,
            Actors.cancel.selector,
            Actors.expire.selector,
            Actors.deliver.selector,
            Actors.take.selector,
            Actors.fail.selector,
            Actors.stake.selector,
            Actors.requestUnstake.selector,
            Actors.withdrawStake.selector,
            Actors.resume.selector,
            Actors.settle.selector,
            Actors.setSlots.selector,
            Actors.join.selector,
            Actors.leave.selector,
            Actors.prune.selector,
            Actors.pause.selector,
            Actors.toggleModel.selector,
            Actors.updateModel.selector,
            Actors.publishModel.selector,
            Actors.pass.selector,
            Actors.passToEdge.selector,
            Actors.registerOrLeave.selector
        ];
    }
}
