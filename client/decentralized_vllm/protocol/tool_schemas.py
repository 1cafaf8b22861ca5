"""Schemas of tools: shown to a model as they are, made into one grammar where a call is forced."""

from collections.abc import Mapping

from pydantic_core import from_json

from decentralized_vllm.protocol.canonical_json import JsonValue
from decentralized_vllm.protocol.errors import InvalidPrompt
from decentralized_vllm.protocol.json_schemas import JsonObject, bounded_text
from decentralized_vllm.protocol.tools import Tool, Tools

NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}, "additionalProperties": False}
_PLACES = ("$defs", "definitions")


def parameters_text(schema: JsonObject) -> str:
    """Canonical JSON of a tool's schema, within the bounds of what is only shown.

    Raises InvalidPrompt.
    """
    text = bounded_text(schema, "parameters")
    if schema.get("type", "object") != "object":
        raise InvalidPrompt("parameters: must describe an object")
    return text


def parameters_of(tool: Tool) -> JsonObject:
    """The schema of its arguments, an object's in any case."""
    if tool.parameters is None:
        return dict(NO_PARAMETERS)
    schema: JsonObject = from_json(tool.parameters)
    return {"type": "object", **schema}


def forced_schema(tools: Tools) -> JsonObject:
    """What an answer has to be that must call: the arguments of the one that is named, or a list.

    Each entry of the list is `{"name": …, "parameters": {…}}`.
    """
    if tools.named is not None:
        (named,) = (tool for tool in tools.functions if tool.name == tools.named)
        return parameters_of(named)
    definitions: JsonObject = {}
    for tool in tools.functions:
        definitions.update(_definitions(tool))
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": tools.max_calls,
        "items": {"anyOf": [_entry(tool.name) for tool in tools.functions]},
        "$defs": definitions,
    }


def _entry(name: str) -> JsonObject:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, "parameters": {"$ref": f"#/$defs/{name}"}},
        "required": ["name", "parameters"],
        "additionalProperties": False,
    }


def _definitions(tool: Tool) -> JsonObject:
    """The tool's schema under its name, and what it defines for itself as `name.definition`.

    A dot is in no tool's name, so these names are nobody else's.
    """
    schema = parameters_of(tool)
    moved: JsonObject = {}
    references = {"#": f"#/$defs/{tool.name}"}
    for place in _PLACES:
        defined = schema.pop(place, None)
        for name, each in defined.items() if isinstance(defined, dict) else ():
            references[f"#/{place}/{name}"] = f"#/$defs/{tool.name}.{name}"
            moved[f"{tool.name}.{name}"] = each
    moved[tool.name] = schema
    return {name: _pointed(each, references) for name, each in moved.items()}


def _pointed(value: JsonValue, references: Mapping[str, str]) -> JsonValue:
    """The same with its references led to where they now are."""
    if isinstance(value, list):
        return [_pointed(each, references) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: references.get(each, each)
        if key == "$ref" and isinstance(each, str)
        else _pointed(each, references)
        for key, each in value.items()
    }
