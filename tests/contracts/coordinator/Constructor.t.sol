// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {INodeProfileRegistry} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {Clocks, CoordinatorConfig} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Deployment} from "../support/Deployment.sol";
import {Settings} from "../support/Settings.sol";

/// @dev What a coordinator refuses to be born with, and what it is after birth.
contract ConstructorTest is Deployment {
    address private someRegistry = makeAddr("some registry");

    function setUp() public {
        _deployAll();
    }

    // ---------------------------------------------------------------- refusals
    function test_constructor__token_without_code__reverts() public {
        CoordinatorConfig memory c = _valid();
        c.token = makeAddr("no contract");
        _refuses(c);
    }

    function test_constructor__no_registry__reverts() public {
        CoordinatorConfig memory c = _valid();
        c.modelRegistry = address(0);
        _refuses(c);
        c = _valid();
        c.nodeRegistry = address(0);
        _refuses(c);
    }

    function test_constructor__no_owner__reverts() public {
        CoordinatorConfig memory c = _valid();
        c.owner = address(0);
        assertEq(_reasonOf(_creation(c)), abi.encodeWithSelector(Ownable.OwnableInvalidOwner.selector, address(0)));
    }

    function test_constructor__no_treasury__reverts() public {
        CoordinatorConfig memory c = _valid();
        c.treasury = address(0);
        _refuses(c);
    }

    function test_constructor__amount_out_of_bounds__reverts() public {
        CoordinatorConfig memory c = _valid();
        c.stakeUnit = 1 ether - 1;
        _refuses(c);
        c.stakeUnit = uint256(type(uint96).max) + 1;
        _refuses(c);
        c = _valid();
        c.publisherBond = uint256(type(uint96).max) + 1;
        _refuses(c);
        c = _valid();
        c.noShowRewardCap = uint256(type(uint96).max) + 1;
        _refuses(c);
        c = _valid();
        c.feeBps = 1_001;
        _refuses(c);
        c = _valid();
        c.announceDelaySeconds = 30 days + 1;
        _refuses(c);
    }

    function test_constructor__clock_out_of_bounds__reverts() public {
        Clocks[9] memory bad = [
            Clocks(0, 1_800, 7 days, 4),
            Clocks(10 minutes + 1, 1_800, 7 days, 4),
            Clocks(15, 0, 7 days, 4),
            Clocks(15, 7 days + 1, 60 days, 4),
            Clocks(15, 1_800, 3_599, 4),
            Clocks(15, 1_800, 60 days + 1, 4),
            Clocks(15, 1_800, 7 days, 0),
            Clocks(15, 1_800, 7 days, 5),
            Clocks(15, 1_800, 0, 4)
        ];
        for (uint256 i; i < bad.length; ++i) {
            CoordinatorConfig memory c = _valid();
            c.clocks = bad[i];
            _refuses(c);
        }
    }

    function test_constructor__bounds_of_terms_out_of_order__reverts() public {
        for (uint256 i; i < 6; ++i) {
            CoordinatorConfig memory c = _valid();
            if (i == 0) c.bounds.minMaxFeeGwei = 0;
            if (i == 1) c.bounds.minMaxFeeGwei = c.bounds.maxMaxFeeGwei + 1;
            if (i == 2) c.bounds.minLeaseSeconds = 0;
            if (i == 3) c.bounds.minLeaseSeconds = c.bounds.maxLeaseSeconds + 1;
            if (i == 4) c.bounds.minOpenSeconds = 0;
            if (i == 5) c.bounds.minOpenSeconds = c.bounds.maxOpenSeconds + 1;
            _refuses(c);
        }
    }

    function test_constructor__of_a_registry_the_coordinator_does_not_name__reverts() public {
        bytes memory nodes =
            abi.encodePacked(vm.getCode("NodeProfileRegistry.sol:NodeProfileRegistry"), abi.encode(coordinator));
        assertEq(_reasonOf(nodes), abi.encodePacked(INodeProfileRegistry.NotTheCoordinatorsRegistry.selector));
        bytes memory models = abi.encodePacked(
            vm.getCode("ModelRegistry.sol:ModelRegistry"), abi.encode(coordinator, owner, Settings.flat())
        );
        assertEq(_reasonOf(models), abi.encodePacked(IModelRegistry.NotTheCoordinatorsRegistry.selector));
    }

    // ---------------------------------------------------------------- post-state
    function test_constructor__values_at_the_bounds__are_accepted() public {
        CoordinatorConfig memory c = _valid();
        c.stakeUnit = 1 ether;
        c.publisherBond = type(uint96).max;
        c.noShowRewardCap = 0;
        c.feeBps = 1_000;
        c.announceDelaySeconds = 30 days;
        c.clocks = Clocks(10 minutes, 7 days, 14 days, 1);
        assertGt(_deployCoordinator(c).code.length, 0);
    }

    function test_constructor__default__starts_empty_in_epoch_1() public view {
        assertEq(coordinator.currentEpoch(), 1);
        assertEq(coordinator.jobCount() + coordinator.nodeCount() + coordinator.versionCount(), 0);
        assertEq(coordinator.collectableFees(), 0);
        assertFalse(coordinator.newWorkPaused());
    }

    function test_constructor__default__tells_what_it_was_told() public view {
        assertEq(coordinator.token(), address(token));
        assertEq(coordinator.modelRegistry(), address(modelRegistry));
        assertEq(coordinator.nodeRegistry(), address(nodeRegistry));
        assertEq(Ownable(address(coordinator)).owner(), owner);
        assertEq(coordinator.treasury(), treasury);
        assertEq(coordinator.stakeUnit(), Settings.UNIT);
        assertEq(coordinator.publisherBond(), Settings.BOND);
        assertEq(coordinator.noShowRewardCap(), Settings.REWARD_CAP);
        assertEq(coordinator.feeBpsAt(0), Settings.FEE_BPS);
        assertEq(coordinator.announceDelaySeconds(), Settings.ANNOUNCE_DELAY);
        assertEq(abi.encode(coordinator.clocks()), abi.encode(Settings.clocks()));
        assertEq(abi.encode(coordinator.termsBounds()), abi.encode(Settings.bounds()));
        assertGt(coordinator.office().code.length, 0);
    }

    /// @dev The office runs on the coordinator's storage. Called by itself it finds no nodes and trusts the same registries.
    function test_office__called_directly__has_empty_books() public {
        address office = coordinator.office();
        (bool ok,) = office.call(abi.encodeCall(coordinator.requestUnstake, (1)));
        assertFalse(ok);
        (ok,) = office.call(abi.encodeCall(coordinator.collectFees, ()));
        assertFalse(ok);
    }

    function test_contracts__deployed__fit_the_size_limit_with_room() public view {
        assertLe(address(coordinator).code.length, 22_000);
        assertLe(coordinator.office().code.length, 22_000);
        assertLe(address(modelRegistry).code.length, 22_000);
        assertLe(address(nodeRegistry).code.length, 22_000);
    }

    function test_coordinator__ether__is_refused() public {
        vm.deal(address(this), 2);
        (bool ok,) = address(coordinator).call{value: 1}("");
        assertFalse(ok);
        (ok,) = address(coordinator).call{value: 1}(abi.encodeCall(coordinator.settle, (owner)));
        assertFalse(ok);
    }

    // ---------------------------------------------------------------- helpers
    function _valid() private view returns (CoordinatorConfig memory c) {
        c = _config();
        (c.modelRegistry, c.nodeRegistry) = (someRegistry, someRegistry);
    }

    function _refuses(CoordinatorConfig memory c) private {
        assertEq(_reasonOf(_creation(c)), abi.encodePacked(OutOfBounds.selector));
    }

    function _creation(CoordinatorConfig memory c) private view returns (bytes memory) {
        return abi.encodePacked(vm.getCode("InferenceCoordinator.sol:InferenceCoordinator"), abi.encode(c));
    }

    /// @dev deployCode tells a failed creation in words of its own, so the reason is read from a plain creation.
    function _reasonOf(bytes memory creation) private returns (bytes memory reason) {
        address at;
        assembly ("memory-safe") {
            at := create(0, add(creation, 32), mload(creation))
            reason := mload(0x40)
            mstore(reason, returndatasize())
            returndatacopy(add(reason, 32), 0, returndatasize())
            mstore(0x40, and(add(add(reason, 63), returndatasize()), not(31)))
        }
        assertEq(at, address(0), "it was born");
    }
}
