// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig} from "../interfaces/InferenceTypes.sol";
import {JobBook} from "../state/JobBook.sol";
import {NetworkViews} from "./NetworkViews.sol";

/// @title The coordinator's second half. Its code runs on the coordinator's storage, never on its own.
/// @dev Called directly it finds empty books: no node, no credit, no token. It holds nothing and decides nothing there.
contract CoordinatorOffice is NetworkViews {
    constructor(CoordinatorConfig memory c) JobBook(c) {}
}
