// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICoordinatorOffice} from "./ICoordinatorOffice.sol";
import {IJobMarket} from "./IJobMarket.sol";

/// @title The market of jobs: escrow, leases, stakes and earnings in one ledger.
/// @notice TRUST. Nothing here is upgradeable. The owner may pause new submits and takes, set the treasury, the publisher
/// bond (of models published later) and (from two epochs on) the fee rate up to MAX_FEE_BPS. The owner can never touch
/// credit, escrow, stake or past jobs, nor block submitResponse, failJob, expireJob, cancelJob, settle or any withdrawal.
/// @notice The two registries are fixed at birth. They hold no tokens; a publisher's bond moves by its own act only.
/// @notice The payment token must be a plain ERC-20: no fee on transfer, no rebasing, no callbacks.
/// @notice One contract, one address, one storage; its code is in two halves because of the size limit of contracts. The
/// second half, the office, is created by the constructor and run by delegatecall; nothing can ever replace it.
/// @notice Until disputes exist, token counts of a delivery are the node's word, bounded by the job's escrow.
/// @notice The lease draw uses cheap randomness which a submitter can re-roll; nothing about price or money rests on it.
interface IInferenceCoordinator is IJobMarket, ICoordinatorOffice {}
