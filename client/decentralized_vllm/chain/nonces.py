"""Which nonce comes next, and which ones are missing."""

from collections.abc import Collection


def next_nonce(chain_nonce: int, pending_nonce: int, own_highest: int) -> int:
    """One above everything known: mined, waiting in a mempool, or in our outbox.

    An endpoint that lags shows too little; `own_highest` (-1: none) keeps the answer right.
    """
    return max(chain_nonce, pending_nonce, own_highest + 1)


def missing_nonces(chain_nonce: int, pending_nonce: int, unmined: Collection[int]) -> list[int]:
    """Nonces below one of ours that nobody will fill: not mined, not waiting, not ours."""
    first = max(chain_nonce, pending_nonce)
    return [nonce for nonce in range(first, max(unmined, default=0)) if nonce not in unmined]
