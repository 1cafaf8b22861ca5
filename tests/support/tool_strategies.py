"""Tools, calls and messages of any kind, for tests that state laws of them."""

from hypothesis import strategies as st

from decentralized_vllm.protocol.generation import (
    Message,
)
from decentralized_vllm.protocol.tool_documents import checked_tools, tool
from decentralized_vllm.protocol.tools import ToolCall

NAMES = st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z")
IDS = st.from_regex(r"\A[A-Za-z0-9_.:-]{1,128}\Z")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
LEAVES = st.sampled_from([{"type": "string"}, {"enum": ["a", 1, None]}, {"$ref": "#/$defs/d"}, {}])
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda named: {"type": "object", "properties": named},
            st.dictionaries(TEXTS, inner, max_size=3),
        )
        | st.builds(lambda each: {"type": "array", "items": each}, inner)
    ),
    max_leaves=6,
)
PARAMETERS = st.none() | st.builds(
    lambda named: {"type": "object", "properties": named, "$defs": {"d": {"type": "integer"}}},
    st.dictionaries(TEXTS, SCHEMAS, max_size=3),
)
LISTS = st.lists(
    st.builds(tool, NAMES, TEXTS, PARAMETERS), min_size=1, max_size=4, unique_by=lambda t: t.name
)


@st.composite
def tools_of_any_kind(draw):
    functions = draw(LISTS)
    named = draw(st.none() | st.sampled_from([each.name for each in functions]))
    must_call = named is None and draw(st.booleans())
    return checked_tools(
        functions, must_call=must_call, named=named, are_parallel=draw(st.booleans())
    )


CALLS = st.lists(st.builds(ToolCall, IDS, NAMES, TEXTS), min_size=1, max_size=3).map(tuple)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXTS)
    | st.builds(Message, st.just("assistant"), TEXTS, CALLS)
    | st.builds(Message, st.just("tool"), TEXTS, st.just(()), IDS),
    min_size=1,
    max_size=4,
).map(tuple)
