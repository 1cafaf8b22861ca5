"""Signatures that are taken once."""

import pytest

from decentralized_vllm.protocol.errors import (
    InvalidSignature,
)
from decentralized_vllm.protocol.ids import Address
from dvllm_worker.http.nonces import NonceBook
from tests.support.jobs import ME


def test_nonce__twice__refused_until_the_window_is_over() -> None:
    book = NonceBook(window_s=600)
    book.use(ME, "n", now_s=0)
    with pytest.raises(InvalidSignature):
        book.use(ME, "n", now_s=600)
    book.use(ME, "n", now_s=601)


def test_nonce__of_another_wallet__is_another() -> None:
    book = NonceBook()
    book.use(ME, "n", now_s=0)
    book.use(Address("0x" + "1" * 40), "n", now_s=0)
