// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {OpenHandedToken} from "../mocks/HostileTokens.sol";
import {IToken} from "./Deployment.sol";
import {NetworkTest} from "./NetworkTest.sol";
import {Settings} from "./Settings.sol";

/// @title The same network, but paid in a token that a test chooses.
abstract contract HostileTokenTest is NetworkTest {
    function setUp() public override {
        vm.warp(Settings.START);
    }

    /// @dev Mallory owns ten tokens and allows them all; paying and nodes are left to the test.
    function _deployWith(OpenHandedToken hostile) internal {
        token = IToken(address(hostile));
        _deployMarket(_config());
        _give(mallory, 10 ether);
    }
}
