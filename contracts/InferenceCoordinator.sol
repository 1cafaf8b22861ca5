// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CoordinatorConfig} from "./interfaces/InferenceTypes.sol";
import {Duties} from "./coordinator/Duties.sol";
import {Entries} from "./coordinator/Entries.sol";
import {JobBook} from "./coordinator/JobBook.sol";
import {Ledger} from "./coordinator/Ledger.sol";
import {Staking} from "./coordinator/Staking.sol";
import {Treasury} from "./coordinator/Treasury.sol";
import {Versions} from "./coordinator/Versions.sol";

/// @title The market of jobs. IInferenceCoordinator is its specification; each part is a file in coordinator/.
/// @dev Ledger ← Treasury ← Versions ← PublisherBonds ← Staking ← Entries ← JobBook ← Requests ← Duties: each part knows
/// only those to its left, and storage is laid out in this order.
contract InferenceCoordinator is Duties {
    constructor(CoordinatorConfig memory c)
        Ledger(c.token)
        Treasury(c.owner, c.treasury, c.feeBps, c.publisherBond, c.clocks)
        Versions(c.modelRegistry, c.announceDelaySeconds, c.bounds)
        Staking(c.nodeRegistry)
        Entries(c.stakeUnit)
        JobBook(c.noShowRewardCap)
    {}
}
