from decentralized_vllm.protocol.generation import TokenLogprob
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
