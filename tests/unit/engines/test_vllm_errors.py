"""Of a server's error is told what it is about, never its text: it may quote the prompt."""

import json

import pytest

from dvllm_worker.engines.vllm_errors import UNTOLD, told_of, told_of_reply

PROMPT = "my doctor says that"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": f"bad: {PROMPT}", "type": "BadRequestError"}, f"BadRequestError {UNTOLD}"),
        ({"message": f"Token id 9 of {PROMPT} is out of vocabulary"}, "out of vocabulary"),
        ({"message": PROMPT, "type": PROMPT}, UNTOLD),
        ({"message": "no room", "type": ["error"]}, UNTOLD),
        (f"maximum Context length, chat template: {PROMPT}", "context, chat template"),
        (None, UNTOLD),
    ],
)
def test_told_of__any_error__its_type_and_known_words_alone(error: object, told: str) -> None:
    assert told_of(error) == told


@pytest.mark.parametrize("wrap", [lambda error: {"error": error}, lambda error: error])
def test_told_of_reply__both_of_vllms_forms__its_type(wrap: object) -> None:
    assert callable(wrap)
    body = json.dumps(wrap({"message": PROMPT, "type": "BadRequestError"})).encode()
    assert told_of_reply(body) == f"BadRequestError {UNTOLD}"


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff" * 9, PROMPT.encode()])
def test_told_of_reply__of_no_form_at_all__nothing_of_it(body: bytes) -> None:
    assert told_of_reply(body) == UNTOLD
