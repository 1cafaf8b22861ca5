// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "../../../contracts/interfaces/ICoordinatorOffice.sol";
import {IInferenceCoordinator} from "../../../contracts/interfaces/IInferenceCoordinator.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {INodeProfileRegistry} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {IJobMarket} from "../../../contracts/interfaces/IJobMarket.sol";
import {FailureCode, Job} from "../../../contracts/interfaces/InferenceTypes.sol";
import {IToken} from "../support/Deployment.sol";
import {OwnerActs} from "./OwnerActs.sol";

/// @title Everyone at once, and time. What a campaign calls.
contract Actors is OwnerActs {
    // ---------------------------------------------------------------- time
    function pass(uint256 seconds_) external {
        vm.warp(_now() + seconds_ % LEASE);
    }

    /// @dev In the second before, at or after a deadline of a job, somebody acts on it.
    function actAtEdge(uint256 jobSeed, uint256 edgeSeed, uint256 seed, uint256 codeSeed) external {
        (uint256 id, Job memory j) = _someJob(jobSeed);
        if (id == 0 || !isAlive(j)) return;
        uint256 edge = edgeSeed % 2 == 0 ? j.until + GRACE : _lastSecond(j);
        uint256 to = edge - 1 + (edgeSeed / 2) % 3;
        if (to > _now()) vm.warp(to);
        uint256 act = (edgeSeed / 6) % 4;
        if (act == 0) _deliver(id, j, _holderOrOther(j, seed), j.digest, 0, codeSeed % 2_048);
        else if (act == 1) _fail(id, j, _holderOrOther(j, seed), FailureCode(codeSeed % 6));
        else if (act == 2) _take(id, j, _pick(operators, seed));
        else _expireBy(id, j, _pick(parties, seed));
    }

    function passEpochs(uint256 count) external {
        vm.warp(_now() + (1 + count % 3) * EPOCH);
    }

    // ---------------------------------------------------------------- honest work
    /// @dev A prompt and at once its answer, as on a good day, or why there is none.
    function serve(uint256 seed, uint256 modelSeed, uint256 outcome) external {
        _submit(Wish(_pick(people, seed), modelIds[modelSeed % 2], type(uint256).max, 255, address(0)));
        uint256 id = coordinator.jobCount();
        if (id == 0) return;
        Job memory j = coordinator.job(id);
        address holder = j.node == address(0) ? publisher() : j.node;
        if (outcome % 3 == 0) _fail(id, j, holder, FailureCode((outcome / 3) % 6));
        else _deliver(id, j, holder, j.digest, 0, outcome % 2_048);
    }

    // ---------------------------------------------------------------- gifts
    function donate(uint256 seed, uint256 amount) external {
        uint256 gift = amount % 1 ether;
        vm.prank(_pick(people, seed));
        require(token.transfer(address(coordinator), gift));
        donations += gift;
    }

    // ---------------------------------------------------------------- the end
    /// @notice Ends every job, and takes every token out that is somebody's. Nobody needs the owner for it.
    function goHome() external {
        vm.warp(_now() + 1_000_000);
        for (uint256 id = coordinator.jobCount(); id != 0; --id) {
            if (!isAlive(coordinator.job(id))) continue;
            vm.prank(treasury); // as good as anyone
            coordinator.expireJob(id);
        }
        for (uint256 i; i < operators.length; ++i) {
            if (_isNode(operators[i])) _release(operators[i]);
        }
        _releaseBond();
        vm.warp(_now() + 2 * COOL_DOWN);
        _takeAllOut();
    }

    function _release(address operator) private {
        coordinator.settle(operator);
        vm.startPrank(operator);
        uint256 staked = coordinator.node(operator).stake;
        if (staked != 0) coordinator.requestUnstake(staked);
        vm.stopPrank();
    }

    function _releaseBond() private {
        (, uint256 held, uint256 from) = coordinator.bondOf(modelIds[2]);
        if (held == 0 || from != 0) return;
        vm.prank(publisher());
        modelRegistry.setModelActive(modelIds[2], false);
    }

    function _takeAllOut() private {
        (, uint256 held,) = coordinator.bondOf(modelIds[2]);
        if (held != 0) coordinator.returnBond(modelIds[2]);
        if (coordinator.collectableFees() != 0) coordinator.collectFees();
        for (uint256 i; i < parties.length; ++i) {
            vm.startPrank(parties[i]);
            if (coordinator.node(parties[i]).cooling != 0) coordinator.withdrawStake();
            uint256 credit = coordinator.credit(parties[i]);
            if (credit != 0) coordinator.withdraw(credit);
            vm.stopPrank();
        }
    }

    // ---------------------------------------------------------------- for the laws
    function market() external view returns (IInferenceCoordinator) {
        return coordinator;
    }

    function money() external view returns (IToken) {
        return token;
    }

    function registries() external view returns (IModelRegistry, INodeProfileRegistry) {
        return (modelRegistry, nodeRegistry);
    }

    function unsettled(address operator) external view returns (uint256) {
        return _unsettledEarnings(operator);
    }

    function counts() external view returns (uint256 people_, uint256 operators_, uint256 parties_, uint256 models_) {
        return (people.length, operators.length, parties.length, modelIds.length);
    }

    function modelIdAt(uint256 i) external view returns (string memory) {
        return modelIds[i];
    }
}
