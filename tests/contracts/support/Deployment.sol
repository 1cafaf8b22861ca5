// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ICoordinatorEvents} from "../../../contracts/interfaces/ICoordinatorEvents.sol";
import {IInferenceCoordinator} from "../../../contracts/interfaces/IInferenceCoordinator.sol";
import {IModelRegistry} from "../../../contracts/interfaces/IModelRegistry.sol";
import {INetworkToken} from "../../../contracts/interfaces/INetworkToken.sol";
import {INodeProfileRegistry} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {CoordinatorConfig} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Settings} from "./Settings.sol";

interface IToken is IERC20, IERC20Permit, INetworkToken {}

/// @title The four contracts, created in the order and with the arguments of a real deployment.
/// @dev By artifact and not by type: so tests need not be compiled with the optimizer, nor again when a contract changes.
abstract contract Deployment is Test, ICoordinatorEvents {
    address internal owner = makeAddr("owner");
    address internal treasury = makeAddr("treasury");

    IToken internal token;
    IInferenceCoordinator internal coordinator;
    IModelRegistry internal modelRegistry;
    INodeProfileRegistry internal nodeRegistry;

    function _deployAll() internal {
        vm.warp(Settings.START);
        token = IToken(vm.deployCode("NetworkToken.sol:NetworkToken", abi.encode(Settings.SUPPLY)));
        _deployMarket(_config());
    }

    /// @dev What the coordinator is told, but for the registries' addresses.
    function _config() internal view virtual returns (CoordinatorConfig memory) {
        return Settings.config(address(token), owner, treasury);
    }

    function _deployMarket(CoordinatorConfig memory c) internal {
        uint256 nonce = vm.getNonce(address(this));
        c.modelRegistry = vm.computeCreateAddress(address(this), nonce + 1);
        c.nodeRegistry = vm.computeCreateAddress(address(this), nonce + 2);
        coordinator = IInferenceCoordinator(_deployCoordinator(c));
        modelRegistry = IModelRegistry(
            vm.deployCode("ModelRegistry.sol:ModelRegistry", abi.encode(coordinator, c.owner, Settings.flat()))
        );
        nodeRegistry =
            INodeProfileRegistry(vm.deployCode("NodeProfileRegistry.sol:NodeProfileRegistry", abi.encode(coordinator)));
    }

    function _deployCoordinator(CoordinatorConfig memory c) internal returns (address) {
        return vm.deployCode("InferenceCoordinator.sol:InferenceCoordinator", abi.encode(c));
    }
}
