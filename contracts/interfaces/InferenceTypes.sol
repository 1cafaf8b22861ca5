// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Terms of one version of a model. Immutable once announced. Amounts are gwei (1e-9 token).
/// @param inputPriceGwei price of one input token; 0 together with outputPriceGwei means a flat price
/// @param outputPriceGwei price of one output token
/// @param flatFeeGwei part of the price that does not depend on usage
/// @param maxFeeGwei ceiling of one job's price; escrow is a share of it
/// @param leaseSeconds time the holder of a lease has to deliver, grace not included
/// @param openSeconds time an Open job may wait to be taken
/// @param maxInputTokens largest prompt, in tokens, that a node must serve (advice to clients, not checked on chain)
/// @param maxOutputTokens largest answer, in tokens, that a job may ask for (advice to clients, not checked on chain)
struct Terms {
    uint40 inputPriceGwei;
    uint40 outputPriceGwei;
    uint48 flatFeeGwei;
    uint48 maxFeeGwei;
    uint16 leaseSeconds;
    uint16 openSeconds;
    uint24 maxInputTokens;
    uint24 maxOutputTokens;
}

/// @notice What a deployment accepts as terms. Both ends belong to the range.
struct TermsBounds {
    uint48 minMaxFeeGwei;
    uint48 maxMaxFeeGwei;
    uint16 minLeaseSeconds;
    uint16 maxLeaseSeconds;
    uint16 minOpenSeconds;
    uint16 maxOpenSeconds;
}

enum JobStatus {
    None,
    Open,
    Leased,
    Delivered,
    Failed,
    Expired,
    Cancelled
}

/// @notice Why a node hands a job back. The first two reopen the job; content codes end it.
enum FailureCode {
    Busy,
    EngineFailed,
    ContentMissing,
    ContentTooLarge,
    ContentInvalid,
    KeyMissing
}

/// @param node the lease holder, or the last one; zero if nobody ever held a lease
/// @param until end of the lease without grace, last second in the open, or the second of the ending
/// @param digest the request's digest; from delivery on keccak256(abi.encode(request digest, keccak256(response CID),
/// price in wei))
/// @param isFinal no further change is possible: over, and the dispute window of a delivery has passed
struct Job {
    address requester;
    address node;
    uint64 until;
    uint32 version;
    JobStatus status;
    uint8 attempts;
    uint8 share;
    bool isFinal;
    uint256 escrow;
    bytes32 digest;
}

/// @param stake active stake, locked part included, cooling part not
/// @param locked ten times the escrow in flight and the earnings not yet final
/// @param pendingEarnings earned and not yet credited, before the fee
struct Node {
    uint32 number;
    address payout;
    uint16 slots;
    uint16 inFlight;
    uint256 stake;
    uint256 locked;
    uint256 cooling;
    uint64 coolingUntil;
    uint64 lockedUntil;
    uint256 escrowInFlight;
    uint256 pendingEarnings;
    bool suspended;
}

struct Version {
    string modelId;
    string modelCID;
    Terms terms;
    uint32 entries;
    uint64 servesFrom;
}

/// @param graceSeconds after a lease's end its holder may still deliver and nobody may take the job
/// @param epochSeconds length of an epoch, which is the dispute window
/// @param coolDownSeconds between asking for stake (or a publisher's bond) back and getting it
/// @param maxAttempts leases a job may have
struct Clocks {
    uint32 graceSeconds;
    uint32 epochSeconds;
    uint32 coolDownSeconds;
    uint8 maxAttempts;
}

/// @notice Everything a coordinator is told at birth.
/// @param modelRegistry the only address that may announce versions; its constructor checks that it is this one
/// @param nodeRegistry the only address that may register nodes; its constructor checks that it is this one
/// @param stakeUnit stake, in wei, that earns one entry in a version's list
/// @param publisherBond wei a publisher has to leave with the coordinator for each active model
/// @param noShowRewardCap most, in wei, that the one who reports a no-show gets of its penalty
/// @param announceDelaySeconds between the announcement of a model's next version and its serving
struct CoordinatorConfig {
    address token;
    address modelRegistry;
    address nodeRegistry;
    address owner;
    address treasury;
    uint256 stakeUnit;
    uint256 publisherBond;
    uint256 noShowRewardCap;
    uint16 feeBps;
    uint32 announceDelaySeconds;
    Clocks clocks;
    TermsBounds bounds;
}
