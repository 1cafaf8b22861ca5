// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig, Terms, TermsBounds} from "../../../contracts/interfaces/InferenceTypes.sol";
import {NetworkTest} from "../support/NetworkTest.sol";
import {Settings} from "../support/Settings.sol";

/// @dev Escrow and price of real jobs: against the vectors that the library is held to, and against exact arithmetic.
contract EscrowTest is NetworkTest {
    string private constant VECTORS = "tests/vectors/escrow.json";
    uint256 private constant RICH = 1_000_000 ether;

    function setUp() public override {
        super.setUp();
        _fund(alice, RICH);
        _stake(nina, 10 * RICH);
    }

    /// @dev As wide as types allow, since the vectors are.
    function _config() internal view override returns (CoordinatorConfig memory c) {
        c = super._config();
        c.bounds = TermsBounds(1, type(uint48).max, 1, type(uint16).max, 1, type(uint16).max);
    }

    function test_escrow__of_the_vectors__is_what_the_chain_takes() public {
        string memory json = vm.readFile(VECTORS);
        uint256 count;
        for (; vm.keyExistsJson(json, _key(count, "")); ++count) {
            uint256 state = vm.snapshotState();
            _checkCase(json, count);
            vm.revertToState(state);
        }
        assertGt(count, 5, "vectors were not found");
    }

    function testFuzz_escrow__any_terms_and_usage__price_and_refund_are_the_escrow(
        uint48[2] memory fees,
        uint40[2] memory prices,
        uint32[2] memory tokens,
        uint8 share
    ) public {
        Terms memory t = Settings.usage();
        t.maxFeeGwei = uint48(bound(fees[0], 1, type(uint48).max));
        t.flatFeeGwei = uint48(bound(fees[1], 0, uint256(t.maxFeeGwei) * (uint256(share) + 1) / 256));
        (t.inputPriceGwei, t.outputPriceGwei) = (prices[0], prices[1]);
        uint256 before = coordinator.credit(alice);
        (uint256 escrow, uint256 price) = _play(t, share, tokens[0], tokens[1]);

        uint256 asked = uint256(t.flatFeeGwei) + uint256(tokens[0]) * prices[0] + uint256(tokens[1]) * prices[1];
        assertEq(price, asked * 1 gwei < escrow ? asked * 1 gwei : escrow);
        assertEq(coordinator.credit(alice), before - price);
        assertLe(escrow, uint256(t.maxFeeGwei) * 1 gwei);
        _assertSolvent();
    }

    /// @dev One share more escrows at least as much, and all shares together lose nothing to rounding.
    function testFuzz_escrow__next_share__is_no_less(uint48 maxFee, uint8 share) public {
        vm.assume(share < 255);
        Terms memory t = Settings.usage();
        (t.maxFeeGwei, t.flatFeeGwei) = (uint48(bound(maxFee, 1, type(uint48).max)), 0);
        (uint256 low,) = _play(t, share, 0, 0);
        (uint256 high,) = _play(t, share + 1, 0, 0);
        assertGe(high, low);
        assertGt(low, 0);
    }

    // ---------------------------------------------------------------- helpers
    function _checkCase(string memory json, uint256 i) private {
        Terms memory t = _terms(json, i);
        uint32 input = uint32(vm.parseJsonUint(json, _key(i, ".input_tokens")));
        uint32 output = uint32(vm.parseJsonUint(json, _key(i, ".output_tokens")));
        uint8 share = uint8(vm.parseJsonUint(json, _key(i, ".smallest_share")));
        (uint256 escrow, uint256 price) = _play(t, share, input, output);
        assertEq(escrow, _wei(json, i, ".escrow_wei"), "escrow");
        assertEq(price, _wei(json, i, ".price_wei"), "price");
        (escrow, price) = _play(t, 255, 0, 0);
        assertEq(escrow, _wei(json, i, ".escrow_wei_share_255"), "whole escrow");
        assertEq(price, _wei(json, i, ".flat_price_wei"), "flat price");
    }

    /// @dev A whole job under these terms, at nina's.
    function _play(Terms memory t, uint8 share, uint32 input, uint32 output)
        private
        returns (uint256 escrow, uint256 price)
    {
        string memory id = vm.toString(coordinator.versionCount());
        _registerModel(id, id, t);
        _join(nina, coordinator.versionCount());
        vm.prank(alice);
        uint256 jobId = coordinator.submitPrompt(PROMPT, id, type(uint256).max, share, nina);
        escrow = coordinator.job(jobId).escrow;
        bytes32 digest = _digestOf(jobId);
        uint256 before = _node(nina).pendingEarnings;
        vm.prank(nina);
        coordinator.submitResponse(jobId, ANSWER, digest, input, output);
        price = _node(nina).pendingEarnings - before;
    }

    function _terms(string memory json, uint256 i) private pure returns (Terms memory t) {
        t.inputPriceGwei = uint40(vm.parseJsonUint(json, _key(i, ".terms.input_price_gwei")));
        t.outputPriceGwei = uint40(vm.parseJsonUint(json, _key(i, ".terms.output_price_gwei")));
        t.flatFeeGwei = uint48(vm.parseJsonUint(json, _key(i, ".terms.flat_fee_gwei")));
        t.maxFeeGwei = uint48(vm.parseJsonUint(json, _key(i, ".terms.max_fee_gwei")));
        (t.leaseSeconds, t.openSeconds, t.maxInputTokens, t.maxOutputTokens) = (120, 300, 4_096, 2_048);
    }

    function _wei(string memory json, uint256 i, string memory field) private pure returns (uint256) {
        return vm.parseUint(vm.parseJsonString(json, _key(i, field)));
    }

    function _key(uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(i), "]", field);
    }
}
