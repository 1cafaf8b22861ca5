import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.canonical_json import _is_plain
from decentralized_vllm.protocol.errors import InvalidDocument
from decentralized_vllm.protocol.generation import SamplingParameters
from decentralized_vllm.protocol.parameters import parameters_json

PLACES = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-3, 3)


@given(PLACES)
@example(1e-4)
@example(9.999e-5)
@example(4503599627370495.5)
@example(0.1 + 0.2)
def test_encode__any_float__as_rfc_8785_spells_it(number):
    try:
        told = canonical_json.encode({"x": [number]})
    except InvalidDocument:
        return
    assert told == rfc8785.dumps({"x": [number]})


@given(st.floats(0, 2), st.floats(0.01, 1), st.floats(-2, 2))
def test_parameters__any__are_spelled_as_their_floats_are(temperature, top_p, penalty):
    told = parameters_json(
        SamplingParameters(
            max_tokens=1, temperature=temperature, top_p=top_p, presence_penalty=penalty
        )
    )
    for name, number in (("temperature", temperature), ("top_p", top_p)):
        assert canonical_json.encode(told[name]) == rfc8785.dumps(number)


def test_parameters__by_default__are_left_to_the_fast_encoder():
    assert _is_plain(parameters_json(SamplingParameters(max_tokens=1, temperature=0.7)))
