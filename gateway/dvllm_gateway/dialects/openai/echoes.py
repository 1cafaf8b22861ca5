"""What stands before the answers of one call for completions: their prompts, if it says so."""

from collections.abc import Sequence

from decentralized_vllm.protocol.generation import PromptTokenLogprob, TokenLogprob
from decentralized_vllm.protocol.responses import ResponseDocument
from dvllm_gateway.dialects.openai.requests import CompletionBody
from dvllm_gateway.errors import TaskFailed


class Echoes:
    """The text of a prompt's tokens is told by the node that rates them, at the end."""

    def __init__(self, body: CompletionBody) -> None:
        self._body = body
        self._is_rated = body.logprobs is not None
        of_tokens = body.echo and not all(isinstance(prompt, str) for prompt in body.prompt)
        self.are_alone = body.max_tokens == 0
        self.come_last = bool(of_tokens)
        self.need_document = self._is_rated or self.come_last

    def text_before(self, choice: int, document: ResponseDocument | None) -> str:
        """Raises TaskFailed for a document that does not tell it."""
        if not self._body.echo:
            return ""
        prompt = self._body.prompt_of(choice)
        if isinstance(prompt, str):
            return prompt
        return "".join(token.text for token in self._prompt(choice, document))

    def ratings(
        self, choice: int, document: ResponseDocument | None
    ) -> Sequence[TokenLogprob | PromptTokenLogprob] | None:
        """Of an echo and of the answer behind it. Raises as `text_before`."""
        if not self._is_rated or document is None:
            return None
        of_prompt = self._prompt(choice, document) if self._body.echo else ()
        of_answer = () if self.are_alone else document.logprobs or ()
        return [*of_prompt, *of_answer]

    def _prompt(
        self, choice: int, document: ResponseDocument | None
    ) -> Sequence[PromptTokenLogprob]:
        told = document.prompt_logprobs if document else None
        prompt = self._body.prompt_of(choice)
        if not told or (isinstance(prompt, list) and len(told) != len(prompt)):
            raise TaskFailed("the node's answer is none: it does not rate each token of the prompt")
        return told
