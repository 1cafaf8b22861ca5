// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FailureCode, Job, JobStatus, Node, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Profile} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {Deployment} from "./Deployment.sol";
import {Settings} from "./Settings.sol";

/// @title A small network at work: two requesters with credit, two nodes that serve two models, and a third model that nobody
/// serves, whose jobs are therefore Open.
abstract contract NetworkTest is Deployment {
    // ---------------------------------------------------------------- cast
    address internal alice = makeAddr("alice"); // asks
    address internal bob = makeAddr("bob"); // asks as well
    address internal nina = makeAddr("nina"); // node number 1
    address internal noel = makeAddr("noel"); // node number 2
    address internal nora = makeAddr("nora"); // no node yet
    address internal paula = makeAddr("paula"); // nina's payout address
    address internal petra = makeAddr("petra"); // publishes models
    address internal mallory = makeAddr("mallory"); // nobody

    // ---------------------------------------------------------------- models
    string internal constant FLAT_ID = "flat-model";
    string internal constant USAGE_ID = "usage-model";
    string internal constant LONELY_ID = "lonely-model";
    string internal constant FLAT_CID = "bafybeiflat";
    string internal constant USAGE_CID = "bafybeiusage";
    string internal constant LONELY_CID = "bafybeilonely";
    uint256 internal constant FLAT = 1;
    uint256 internal constant USAGE = 2;
    uint256 internal constant LONELY = 3;

    string internal constant PROMPT = "bafkreiprompt";
    string internal constant ANSWER = "bafkreianswer";

    // ---------------------------------------------------------------- money
    uint256 internal constant CREDIT = 1_000 ether;
    uint256 internal constant STAKE = 2_000 ether;
    uint16 internal constant SLOTS = 8;
    uint256 internal constant FLAT_ESCROW = uint256(Settings.FLAT_FEE) * 1 gwei;
    uint256 internal constant USAGE_ESCROW = uint256(Settings.USAGE_MAX_FEE) * 1 gwei;
    uint256 internal constant USAGE_FLAT_PRICE = uint256(Settings.USAGE_FLAT_FEE) * 1 gwei;

    function setUp() public virtual {
        _deployAll();
        _registerModel(FLAT_ID, FLAT_CID, Settings.flat());
        _registerModel(USAGE_ID, USAGE_CID, Settings.usage());
        _registerModel(LONELY_ID, LONELY_CID, Settings.usage());
        _fund(alice, CREDIT);
        _fund(bob, CREDIT);
        _enlist(nina, paula);
        _enlist(noel, address(0));
    }

    // ---------------------------------------------------------------- money
    /// @dev Tokens in the wallet, all of them allowed to the coordinator.
    function _give(address who, uint256 amount) internal {
        token.faucet(who, amount);
        vm.prank(who);
        token.approve(address(coordinator), type(uint256).max);
    }

    function _fund(address who, uint256 amount) internal {
        _give(who, amount);
        vm.prank(who);
        coordinator.deposit(amount);
    }

    // ---------------------------------------------------------------- models
    function _registerModel(string memory id, string memory cid, Terms memory terms) internal {
        vm.prank(owner);
        modelRegistry.registerModel(id, cid, id, "", terms);
    }

    // ---------------------------------------------------------------- nodes
    function _profile(address payout, uint16 slots) internal pure returns (Profile memory) {
        return Profile("https://node.example:8701", hex"01", "eu-central", payout, slots);
    }

    function _registerNode(address node, address payout) internal {
        vm.prank(node);
        nodeRegistry.registerNode(64_000, 24_000, 800, _profile(payout, SLOTS));
    }

    function _stake(address node, uint256 amount) internal {
        _give(node, amount);
        vm.prank(node);
        coordinator.stake(amount);
    }

    function _join(address node, uint256 version) internal {
        vm.prank(node);
        coordinator.joinVersion(version, type(uint256).max);
    }

    /// @dev Everything until the node can be leased jobs of both served models.
    function _enlist(address node, address payout) internal {
        _registerNode(node, payout);
        _stake(node, STAKE);
        _join(node, FLAT);
        _join(node, USAGE);
    }

    // ---------------------------------------------------------------- jobs
    function _submitTo(address node, string memory id) internal returns (uint256) {
        vm.prank(alice);
        return coordinator.submitPrompt(PROMPT, id, type(uint256).max, 255, node);
    }

    /// @dev Alice's job of the model by usage, leased to nina.
    function _leasedJob() internal returns (uint256) {
        return _submitTo(nina, USAGE_ID);
    }

    /// @dev Alice's job of the model that nobody serves.
    function _openJob() internal returns (uint256) {
        return _submitTo(address(0), LONELY_ID);
    }

    function _deliveredJob() internal returns (uint256 jobId) {
        jobId = _leasedJob();
        _deliver(nina, jobId);
    }

    function _deliver(address node, uint256 jobId) internal {
        vm.prank(node);
        coordinator.submitResponse(jobId, ANSWER);
    }

    function _fail(address node, uint256 jobId, FailureCode code) internal {
        vm.prank(node);
        coordinator.failJob(jobId, code);
    }

    function _take(address node, uint256 jobId) internal {
        vm.prank(node);
        coordinator.takeJob(jobId);
    }

    /// @dev Alice's job on its last attempt, leased to noel (an even number of attempts ends with him).
    function _lastAttempt() internal returns (uint256 jobId) {
        jobId = _leasedJob();
        for (uint256 i = 1; i < Settings.ATTEMPTS; ++i) {
            (address holder, address next) = i % 2 == 1 ? (nina, noel) : (noel, nina);
            _fail(holder, jobId, FailureCode.Busy);
            _take(next, jobId);
        }
    }

    // ---------------------------------------------------------------- time
    function _leaseEnd() internal view returns (uint256) {
        return vm.getBlockTimestamp() + Settings.LEASE;
    }

    /// @dev To the first second after lease and grace of a job leased now.
    function _lapse() internal {
        skip(uint256(Settings.LEASE) + Settings.GRACE + 1);
    }

    /// @dev Two epochs on: all that was earned until now is final.
    function _mature() internal {
        skip(2 * uint256(Settings.EPOCH));
    }

    // ---------------------------------------------------------------- reads
    function _statusOf(uint256 jobId) internal view returns (JobStatus) {
        return coordinator.job(jobId).status;
    }

    function _digestOf(uint256 jobId) internal view returns (bytes32) {
        return coordinator.job(jobId).digest;
    }

    function _node(address operator) internal view returns (Node memory) {
        return coordinator.node(operator);
    }

    function _fee(uint256 amount) internal pure returns (uint256) {
        return amount * Settings.FEE_BPS / Settings.BPS;
    }

    // ---------------------------------------------------------------- assertions
    function _assertStatus(uint256 jobId, JobStatus expected) internal view {
        assertEq(uint256(_statusOf(jobId)), uint256(expected), "status");
    }

    /// @dev One of the coordinator's events, all topics and data, comes next.
    function _expectEvent() internal {
        vm.expectEmit(address(coordinator));
    }

    /// @dev The law of solvency: every token the coordinator holds is somebody's.
    function _assertSolvent() internal view {
        assertEq(
            token.balanceOf(address(coordinator)),
            _creditOfAll() + _escrowOfAll() + _stakeAndEarningsOfAll() + _bondsOfAll() + coordinator.collectableFees(),
            "solvency"
        );
    }

    function _creditOfAll() internal view returns (uint256) {
        return coordinator.credit(alice) + coordinator.credit(bob) + coordinator.credit(nina) + coordinator.credit(noel)
            + coordinator.credit(nora) + coordinator.credit(paula) + coordinator.credit(petra)
            + coordinator.credit(mallory);
    }

    function _escrowOfAll() internal view returns (uint256 sum) {
        for (uint256 id = coordinator.jobCount(); id != 0; --id) {
            Job memory j = coordinator.job(id);
            if (j.status == JobStatus.Open || j.status == JobStatus.Leased) sum += j.escrow;
        }
    }

    function _stakeAndEarningsOfAll() internal view returns (uint256 sum) {
        for (uint256 i = coordinator.nodeCount(); i != 0; --i) {
            Node memory n = coordinator.node(coordinator.nodeAt(i));
            sum += n.stake + n.cooling + n.pendingEarnings;
        }
    }

    function _bondsOfAll() internal view returns (uint256 sum) {
        string[] memory ids = modelRegistry.getAllModels();
        for (uint256 i; i < ids.length; ++i) {
            (, uint256 amount,) = coordinator.bondOf(ids[i]);
            sum += amount;
        }
    }
}
