from decentralized_vllm.protocol.generation import Candidate, PromptTokenLogprob, TokenLogprob
from dvllm_gateway.dialects.openai.logprobs import chat_logprobs, text_logprobs


def test_logprobs__nothing_rated__is_null():
    assert chat_logprobs(None) is None
    assert text_logprobs(None) is None


def test_chat_logprobs__part_of_a_character__has_no_bytes():
    tokens = [TokenLogprob("\ufffd", -1.0), TokenLogprob("", -1.0), TokenLogprob("🙂", -1.0)]
    told = chat_logprobs(tokens)
    assert [token.bytes for token in told.content] == [None, None, [240, 159, 153, 130]]


def test_text_logprobs__offsets__count_characters():
    tokens = [TokenLogprob(text, -1.0) for text in ("ab", "", "🙂", "c")]
    assert text_logprobs(tokens).text_offset == [0, 2, 2, 3]


def test_text_logprobs__of_an_echo__have_null_for_its_first_token():
    echoed = [PromptTokenLogprob("a", None), PromptTokenLogprob("b", -1.0, (Candidate("c", -0.5),))]
    told = text_logprobs([*echoed, TokenLogprob("d", -2.0)])
    assert told.model_dump() == {
        "tokens": ["a", "b", "d"],
        "token_logprobs": [None, -1.0, -2.0],
        "top_logprobs": [None, {"c": -0.5, "b": -1.0}, {"d": -2.0}],
        "text_offset": [0, 1, 2],
    }
