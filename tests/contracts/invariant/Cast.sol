// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clocks, CoordinatorConfig, Terms} from "../../../contracts/interfaces/InferenceTypes.sol";
import {Profile} from "../../../contracts/interfaces/INodeProfileRegistry.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Deployment, IToken} from "../support/Deployment.sol";
import {Settings} from "../support/Settings.sol";

/// @title A market with short clocks and small stakes, so that deadlines and locks bind, and everyone who acts on it.
abstract contract Cast is Deployment {
    uint256 internal constant GRACE = 5;
    uint256 internal constant LEASE = 30;
    uint256 internal constant OPEN = 40;
    uint256 internal constant EPOCH = 100;
    uint256 internal constant COOL_DOWN = 300;
    uint256 internal constant DELAY = 60;
    uint8 internal constant ATTEMPTS = 3;
    uint256 internal constant UNIT = 20 ether;
    uint256 internal constant MAX_VERSIONS = 8;
    uint256 internal constant PURSE = 10_000 ether;

    string internal constant PROMPT = "bafkreiprompt";
    string internal constant ANSWER = "bafkreianswer";

    address[] public people; // requesters; the last one publishes, the first one is also paid for a node's work
    address[] public operators; // the last one is no node at first
    /// Everyone who may ever hold credit.
    address[] public parties;
    string[] internal modelIds; // two of the owner's, then the publisher's

    constructor() {
        CoordinatorConfig memory c = Settings.config(address(0), owner, treasury);
        c.clocks = Clocks(uint32(GRACE), uint32(EPOCH), uint32(COOL_DOWN), ATTEMPTS);
        (c.stakeUnit, c.announceDelaySeconds) = (UNIT, uint32(DELAY));
        vm.warp(Settings.START);
        c.token = vm.deployCode("NetworkToken.sol:NetworkToken", abi.encode(Settings.SUPPLY));
        token = IToken(c.token);
        _deployMarket(c);
        _invite();
        _announce();
        for (uint256 i; i < 3; ++i) {
            _enlist(operators[i], i == 1 ? people[0] : address(0));
        }
    }

    function _invite() private {
        for (uint256 i; i < 3; ++i) {
            people.push(makeAddr(string.concat("person ", Strings.toString(i))));
        }
        for (uint256 i; i < 4; ++i) {
            operators.push(makeAddr(string.concat("operator ", Strings.toString(i))));
        }
        parties = operators;
        for (uint256 i; i < people.length; ++i) {
            parties.push(people[i]);
        }
        parties.push(owner);
        parties.push(treasury);
        for (uint256 i; i < parties.length; ++i) {
            token.faucet(parties[i], PURSE);
            vm.prank(parties[i]);
            token.approve(address(coordinator), type(uint256).max);
            vm.prank(parties[i]);
            coordinator.deposit(50 ether);
        }
    }

    function _announce() private {
        modelIds = ["flat", "usage"];
        modelIds.push(string.concat(Strings.toHexString(publisher()), "/mine"));
        for (uint256 i; i < 2; ++i) {
            vm.prank(owner);
            modelRegistry.registerModel(modelIds[i], _cid(i), modelIds[i], "", i == 0 ? flatTerms() : usageTerms());
        }
    }

    function _enlist(address operator, address payout) private {
        vm.startPrank(operator);
        nodeRegistry.registerNode(1, 1, 1, Profile("", "", "", payout, 2));
        coordinator.stake(5 * UNIT);
        coordinator.joinVersion(1, 32);
        coordinator.joinVersion(2, 32);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- facts
    function publisher() public view returns (address) {
        return people[people.length - 1];
    }

    function flatTerms() internal pure returns (Terms memory) {
        return Terms(0, 0, 1e9, 1e9, uint16(LEASE), uint16(OPEN), 1, 1);
    }

    /// @dev An odd ceiling, so that shares of it are rounded.
    function usageTerms() internal pure returns (Terms memory) {
        return Terms(1e5, 1e6, 1e7, 3e9 + 7, uint16(LEASE + 10), uint16(OPEN + 7), 1, 1);
    }

    function _cid(uint256 i) internal pure returns (string memory) {
        return string.concat("bafybeimodel", Strings.toString(i));
    }

    function _pick(address[] storage from, uint256 seed) internal view returns (address) {
        return from[seed % from.length];
    }

    function _modelId(uint256 seed) internal view returns (string memory) {
        return modelIds[seed % modelIds.length];
    }

    /// @dev Read past the optimizer, which takes the clock for constant within a call.
    function _now() internal view returns (uint256) {
        return vm.getBlockTimestamp();
    }
}
