// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";

/// @dev The node word counts epochs in 24 bits; with epochs of a second these are over after 194 days.
contract EpochWrapTest is NetworkTest {
    function _config() internal view override returns (CoordinatorConfig memory c) {
        c = super._config();
        c.clocks.epochSeconds = 1;
    }

    function setUp() public override {
        super.setUp();
        skip(2 ** 24 - 1 - coordinator.currentEpoch());
    }

    function test_epochs__more_than_the_word_counts__earnings_mature_in_their_order() public {
        _deliveredJob();
        uint256 fee = _fee(USAGE_FLAT_PRICE);
        skip(1);
        coordinator.settle(nina);
        assertEq(_node(nina).pendingEarnings, USAGE_FLAT_PRICE, "not final yet");
        assertEq(_node(nina).locked, 10 * USAGE_FLAT_PRICE, "nor unlocked");
        skip(1);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), USAGE_FLAT_PRICE - fee);
        assertEq(_node(nina).pendingEarnings, 0);
        _assertSolvent();
    }

    function test_epochs__more_than_the_word_counts__deliveries_go_on() public {
        for (uint256 i; i < 4; ++i) {
            _deliveredJob();
            skip(1);
        }
        skip(2);
        coordinator.settle(nina);
        assertEq(coordinator.credit(paula), 4 * (USAGE_FLAT_PRICE - _fee(USAGE_FLAT_PRICE)));
        _assertSolvent();
    }
}
