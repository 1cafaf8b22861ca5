"""Schemas from strangers: what people's tools write is taken, what may cost an engine is not."""

from typing import Literal

import pytest
from pydantic import BaseModel

from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.generation import ResponseFormat
from decentralized_vllm.protocol.json_schemas import schema_format, schema_of


class Leaf(BaseModel):
    name: str
    kind: Literal["a", "b"] = "a"
    weight: float | None = None


class Tree(BaseModel):
    """Recursive, with a list, a choice and a description."""

    leaves: list[Leaf]
    branches: list["Tree"]


def test_schema_format__what_pydantic_writes__is_kept_as_it_is():
    schema = Tree.model_json_schema()
    assert schema_of(schema_format(schema)) == schema


def test_schema_of__any_object__is_none():
    assert schema_of(ResponseFormat()) is None


def test_schema_format__equal_schemas__are_one_format():
    assert schema_format({"type": "string", "title": "T"}) == schema_format(
        {"title": "T", "type": "string"}
    )


TAKEN = [
    {},
    {"type": ["string", "null"]},
    {"const": None},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": False, "maxItems": 64},
    {"type": "string", "format": "date-time", "minLength": 0, "maxLength": 512},
    {"type": "number", "minimum": -1.5, "exclusiveMaximum": 3},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"properties": {"pattern": {"$ref": "#"}}},
    {"$schema": "https://json-schema.org/draft/2020-12/schema", "default": {"any": []}},
]


@pytest.mark.parametrize("schema", TAKEN)
def test_schema_format__bounded_schema__is_taken(schema):
    assert schema_of(schema_format(schema)) == schema


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


REFUSED = [
    {"pattern": "(a+)+$"},
    {"type": "string", "format": "regex"},
    {"type": "text"},
    {"type": []},
    {"type": [["string"]]},
    {"enum": []},
    {"enum": [{"a": 1}]},
    {"enum": list(range(513))},
    {"anyOf": []},
    {"anyOf": ["x"]},
    {"items": [{}]},
    {"maxItems": 65},
    {"maxItems": True},
    {"maxItems": 1.0},
    {"maxLength": 513},
    {"minLength": -1},
    {"minimum": "1"},
    {"required": "a"},
    {"required": [1]},
    {"properties": []},
    {"properties": {"a": True}},
    {"title": 1},
    {"$ref": "https://example.com/schema"},
    {"$ref": "#/$defs/missing"},
    {"$ref": 1},
    {"minimum": 2**60},
    {"minimum": 2.0**60},
    {"title": "\ud800"},
    {"description": "x" * 17_000},
    {"properties": {f"p{i}": {} for i in range(512)}},
    nested(13),
    nested(40),
]


@pytest.mark.parametrize("schema", REFUSED, ids=lambda schema: str(schema)[:40])
def test_schema_format__unbounded_or_broken_schema__is_refused(schema):
    with pytest.raises(InvalidPrompt, match=r"^schema"):
        schema_format(schema)


CIRCLES = [
    {"$ref": "#"},
    {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    {"$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
    {
        "anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "$defs": {"a": {"type": "null"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#"}]}},
    },
]


@pytest.mark.parametrize("schema", CIRCLES)
def test_schema_format__reference_that_never_writes_anything__is_refused(schema):
    with pytest.raises(InvalidPrompt, match="leads back"):
        schema_format(schema)


def test_schema_format__two_ways_to_the_same_part__are_no_circle():
    ways = [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]
    definitions = {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}
    assert schema_format({"anyOf": ways, "$defs": definitions}).schema is not None


# An engine may look for `b` within `a`, or unescape: then it reads another schema than was checked.
AMBIGUOUS = [
    ("a/default", {"a/default": {}, "a": {"default": {"pattern": "(x+)+$"}}}),
    ("a/default", {"a/default": {}, "a": {"default": {"$ref": "#/$defs/a/default"}}}),
    ("a~1b", {"a~1b": {}, "a/b": {"$ref": "#/$defs/a~1b"}}),
    ("a%62", {"a%62": {}, "ab": {"$ref": "#/$defs/a%62"}}),
    ("", {"": {}}),
]


@pytest.mark.parametrize(("name", "definitions"), AMBIGUOUS)
@pytest.mark.parametrize("place", ["$defs", "definitions"])
def test_schema_format__reference_that_engines_read_in_several_ways__is_refused(
    name, definitions, place
):
    schema = {"$ref": f"#/{place}/{name}", place: definitions}
    with pytest.raises(InvalidPrompt, match=r"^schema"):
        schema_format(schema)


def test_schema_format__one_choice_twice__is_no_circle():
    twice = [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]
    schema = {"anyOf": twice, "$defs": {"a": {"type": "string"}}}
    assert schema_of(schema_format(schema)) == schema


def test_schema_format__refusal__names_the_place_and_little_of_the_text():
    schema = {"properties": {"a" * 1000: {"x" * 1000: 1}}}
    with pytest.raises(InvalidPrompt) as refusal:
        schema_format(schema)
    assert "schema.properties.aaa" in refusal.value.message
    assert len(refusal.value.message) < 200
