// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IInferenceCoordinator} from "../../../contracts/interfaces/IInferenceCoordinator.sol";
import {INodeProfileRegistry} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {Job, JobStatus, Node} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Actors} from "./Actors.sol";

/// @title The laws of the market, checked after every act of anyone.
/// @notice The laws about a single step (credit, status, deadlines, permissions, gas) are in Memory and in the acts.
contract Laws is Test {
    Actors internal actors;
    IInferenceCoordinator internal market;

    function setUp() public {
        actors = new Actors();
        market = actors.market();
        bytes4[] memory others = new bytes4[](1);
        others[0] = Actors.goHome.selector;
        excludeSelector(FuzzSelector({addr: address(actors), selectors: others}));
        targetContract(address(actors));
    }

    // ---------------------------------------------------------------- laws
    function invariant_marketKeepsItsLaws() external {
        _solvent();
        _jobsStandBehindNodes();
        _stakeCoversWork();
        _listsAgree();
        _registryAgrees();
        _anyoneCanEndAnyJob();
    }

    function afterInvariant() external {
        actors.goHome();
        assertEq(actors.money().balanceOf(address(market)), actors.donations(), "I11, I12: everyone can go home with all of it");
    }

    // ---------------------------------------------------------------- money
    function _solvent() private view {
        uint256 owed = _credits() + _stakesAndEarnings() + _bonds() + _liveEscrow() + market.collectableFees();
        assertEq(actors.money().balanceOf(address(market)), owed + actors.donations(), "I1, I2: every token is somebody's");
    }

    function _credits() private view returns (uint256 sum) {
        (,, uint256 count,) = actors.counts();
        for (uint256 i; i < count; ++i) {
            sum += market.credit(actors.parties(i));
        }
    }

    function _stakesAndEarnings() private view returns (uint256 sum) {
        for (uint256 i = market.nodeCount(); i != 0; --i) {
            Node memory n = market.node(market.nodeAt(i));
            sum += n.stake + n.cooling + n.pendingEarnings;
        }
    }

    function _bonds() private view returns (uint256 sum) {
        (,,, uint256 count) = actors.counts();
        for (uint256 i; i < count; ++i) {
            (, uint256 amount,) = market.bondOf(actors.modelIdAt(i));
            sum += amount;
        }
    }

    function _liveEscrow() private view returns (uint256 sum) {
        for (uint256 id = market.jobCount(); id != 0; --id) {
            Job memory j = market.job(id);
            if (actors.isAlive(j)) sum += j.escrow;
        }
    }

    // ---------------------------------------------------------------- jobs and nodes
    function _jobsStandBehindNodes() private view {
        for (uint256 i = market.nodeCount(); i != 0; --i) {
            address operator = market.nodeAt(i);
            (uint256 leases, uint256 escrow) = _leasesOf(operator);
            Node memory n = market.node(operator);
            assertEq(n.inFlight, leases, "I29: jobs in flight are the unfinished leases");
            assertEq(n.escrowInFlight, escrow, "I7: escrow in flight is that of the unfinished leases");
        }
    }

    function _leasesOf(address operator) private view returns (uint256 leases, uint256 escrow) {
        for (uint256 id = market.jobCount(); id != 0; --id) {
            Job memory j = market.job(id);
            if (j.status != JobStatus.Leased || j.node != operator) continue;
            ++leases;
            escrow += j.escrow;
        }
    }

    function _stakeCoversWork() private view {
        for (uint256 i = market.nodeCount(); i != 0; --i) {
            address operator = market.nodeAt(i);
            Node memory n = market.node(operator);
            uint256 unsettled = actors.unsettled(operator);
            assertEq(n.locked, 10 * (n.escrowInFlight + unsettled), "I7: ten times the work that is not final is locked");
            assertLe(n.locked, n.stake, "I8, I22: no lock without stake behind it");
            assertGe(n.pendingEarnings, unsettled, "I13: nothing is credited before it is final");
        }
    }

    // ---------------------------------------------------------------- lists
    function _listsAgree() private view {
        uint256 nodes = market.nodeCount();
        for (uint256 version = market.versionCount(); version != 0; --version) {
            address[] memory list = actors.entriesOf(version);
            uint256 entries;
            for (uint256 i = nodes; i != 0; --i) {
                address operator = market.nodeAt(i);
                uint256 count = _times(list, operator);
                assertEq(count != 0, _hasJoined(operator, version), "I28: a node is on the lists it joined, and no others");
                entries += count;
            }
            assertEq(list.length, entries, "I28: every entry is a node's");
        }
    }

    function _hasJoined(address operator, uint256 version) private view returns (bool) {
        uint256[] memory joined = market.joinedVersions(operator);
        uint256 found;
        for (uint256 i; i < joined.length; ++i) {
            if (joined[i] == version) ++found;
        }
        assertLe(found, 1, "I28: a version is joined once");
        return found != 0;
    }

    function _registryAgrees() private view {
        (, INodeProfileRegistry registry) = actors.registries();
        (address[] memory operators,) = registry.nodes(0, 100);
        assertEq(operators.length, registry.nodeCount(), "I28: the list of nodes is whole");
        (, uint256 count,,) = actors.counts();
        for (uint256 i; i < count; ++i) {
            bool isRegistered = registry.getNode(actors.operators(i)).isRegistered;
            assertEq(_times(operators, actors.operators(i)), isRegistered ? 1 : 0, "I28: each registered node once");
        }
    }

    function _times(address[] memory list, address who) private pure returns (uint256 count) {
        for (uint256 i; i < list.length; ++i) {
            if (list[i] == who) ++count;
        }
    }

    // ---------------------------------------------------------------- liveness
    /// @dev One second after its longest life, paused or not, a stranger ends it. Nothing of this outlives the check.
    function _anyoneCanEndAnyJob() private {
        for (uint256 id = market.jobCount(); id != 0; --id) {
            Job memory j = market.job(id);
            if (!actors.isAlive(j)) continue;
            uint256 end = actors.noteOf(id).createdAt + market.maxJobLife(j.version) + 1;
            if (end < vm.getBlockTimestamp()) end = vm.getBlockTimestamp();
            vm.warp(end);
            market.expireJob(id);
            assertEq(uint256(market.job(id).status), uint256(JobStatus.Expired), "I11: anyone can end any job");
        }
    }
}
