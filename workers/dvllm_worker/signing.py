"""Signs answers with the node's key, which the pipeline never sees."""

from eth_account.signers.local import LocalAccount

from decentralized_vllm.protocol.responses import ResponseDocument
from decentralized_vllm.protocol.signatures import PreparedAccount


class KeySigner:
    def __init__(self, account: LocalAccount) -> None:
        self._account = PreparedAccount(account)

    def sign(self, document: ResponseDocument) -> ResponseDocument:
        return document.sign(self._account)
