"""HTTP doors to a store: a Kubo-compatible RPC for its owner, a trustless gateway for everyone."""
