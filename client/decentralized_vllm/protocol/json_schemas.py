"""JSON Schemas in prompts: the part of the language that a stranger may hand to an engine.

An engine compiles a schema into a grammar, in its own process and for its own account. So only
keywords are taken whose cost is bounded here: no regular expressions, no unbounded repetition, no
reference that leads back to itself before a single character is written.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from pydantic_core import PydanticSerializationError, from_json, to_json

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.canonical_json import JsonValue
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidPrompt
from decentralized_vllm.protocol.generation import ResponseFormat

MAX_SCHEMA_BYTES = 16 << 10
MAX_SCHEMA_DEPTH = 12  # of schemas within schemas
MAX_SCHEMAS = 512
MAX_VALUES = 512  # of all enumerations together
MAX_ITEMS = 64
MAX_LENGTH = 512
MAX_NAME_SHOWN = 32

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
FORMATS = frozenset(
    {"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"}
)
# Some engines unescape a name and go on at its slashes, to where nothing was checked; some do not.
_UNDISPUTED = re.compile(r"#(/(\$defs|definitions)/[^/~%]+)?")

JsonObject: TypeAlias = dict[str, JsonValue]


def schema_format(schema: JsonObject) -> ResponseFormat:
    """A format that asks for what `schema` describes. Raises InvalidPrompt."""
    text = bounded_text(schema, "schema")
    _Inspection(schema).run()
    return ResponseFormat(text)


def bounded_text(schema: JsonObject, at: str) -> str:
    """Canonical JSON. Raises InvalidPrompt, naming `at`, for a schema too large or too deep."""
    n_bytes = _size(schema, at)  # first, since the canonical encoder takes seconds for a megabyte
    if n_bytes > MAX_SCHEMA_BYTES:
        raise InvalidPrompt(f"{at}: {n_bytes} bytes, more than {MAX_SCHEMA_BYTES}")
    try:
        text = canonical_json.encode(schema).decode()
        canonical_json.check_depth(text)
    except InvalidDocument as error:
        raise InvalidPrompt(f"{at}: {error.message}") from error
    return text


def _size(schema: JsonObject, at: str) -> int:
    try:
        return len(to_json(schema))
    except PydanticSerializationError as error:
        raise InvalidPrompt(f"{at}: no JSON") from error


def schema_of(form: ResponseFormat) -> JsonObject | None:
    """What the format's text means; None for any object."""
    if form.schema is None:
        return None
    schema: JsonObject = from_json(form.schema)
    return schema


class _Inspection:
    """One walk over a whole schema. Raises InvalidPrompt at the first thing it does not take."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._n_schemas = 0
        self._n_values = 0
        self._keywords: Mapping[str, Callable[[JsonValue, str, int], None]] = {
            **dict.fromkeys(("$schema", "title", "description"), self._text),
            **dict.fromkeys(("default", "examples"), self._anything),
            **dict.fromkeys(("properties", "$defs", "definitions"), self._named),
            **dict.fromkeys(("anyOf", "prefixItems"), self._several),
            **dict.fromkeys(("enum", "const"), self._values),
            **dict.fromkeys(("minItems", "maxItems"), _whole_number_up_to(MAX_ITEMS)),
            **dict.fromkeys(("minLength", "maxLength"), _whole_number_up_to(MAX_LENGTH)),
            **dict.fromkeys(("minimum", "maximum"), self._number),
            **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), self._number),
            **dict.fromkeys(("items", "additionalProperties"), self._schema_or_flag),
            "type": self._type,
            "required": self._names,
            "format": self._format,
            "$ref": self._reference,
        }

    def run(self) -> None:
        self._schema(self._root, "schema", 0)
        _refuse_circles(self._root)

    def _schema(self, value: JsonValue, at: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise InvalidPrompt(f"{at}: must be an object")
        self._n_schemas += 1
        if self._n_schemas > MAX_SCHEMAS or depth > MAX_SCHEMA_DEPTH:
            raise InvalidPrompt(f"schema: more than {MAX_SCHEMAS} parts or {MAX_SCHEMA_DEPTH} deep")
        for keyword, meant in value.items():
            check = self._keywords.get(keyword)
            if check is None:
                raise InvalidPrompt(f"{at}: {keyword[:MAX_NAME_SHOWN]!r} is not taken")
            check(meant, f"{at}.{keyword}", depth)

    def _schema_or_flag(self, value: JsonValue, at: str, depth: int) -> None:
        if not isinstance(value, bool):
            self._schema(value, at, depth + 1)

    def _named(self, value: JsonValue, at: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise InvalidPrompt(f"{at}: must be an object")
        for name, schema in value.items():
            self._schema(schema, f"{at}.{name[:MAX_NAME_SHOWN]}", depth + 1)

    def _several(self, value: JsonValue, at: str, depth: int) -> None:
        for schema in _filled_list(value, at):
            self._schema(schema, at, depth + 1)

    def _values(self, value: JsonValue, at: str, depth: int) -> None:
        values = _filled_list(value, at) if at.endswith(".enum") else [value]
        self._n_values += len(values)
        if self._n_values > MAX_VALUES:
            raise InvalidPrompt(f"schema: more than {MAX_VALUES} values")
        if any(isinstance(each, list | dict) for each in values):
            raise InvalidPrompt(f"{at}: must be plain values")

    def _type(self, value: JsonValue, at: str, depth: int) -> None:
        names = _filled_list(value, at) if isinstance(value, list) else [value]
        if not all(isinstance(name, str) and name in TYPES for name in names):
            raise InvalidPrompt(f"{at}: must be one of {', '.join(sorted(TYPES))}")

    def _format(self, value: JsonValue, at: str, depth: int) -> None:
        if not (isinstance(value, str) and value in FORMATS):
            raise InvalidPrompt(f"{at}: must be one of {', '.join(sorted(FORMATS))}")

    def _reference(self, value: JsonValue, at: str, depth: int) -> None:
        if _target(self._root, value) is None:
            raise InvalidPrompt(f"{at}: must name one of the schema's own $defs")

    def _names(self, value: JsonValue, at: str, depth: int) -> None:
        if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise InvalidPrompt(f"{at}: must be a list of names")

    def _number(self, value: JsonValue, at: str, depth: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidPrompt(f"{at}: must be a number")

    def _text(self, value: JsonValue, at: str, depth: int) -> None:
        if not isinstance(value, str):
            raise InvalidPrompt(f"{at}: must be text")

    def _anything(self, value: JsonValue, at: str, depth: int) -> None:
        """It changes nothing about the answer."""


def _whole_number_up_to(most: int) -> Callable[[JsonValue, str, int], None]:
    def check(value: JsonValue, at: str, depth: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise InvalidPrompt(f"{at}: must be a whole number from 0 to {most}")

    return check


def _filled_list(value: JsonValue, at: str) -> list[JsonValue]:
    if not isinstance(value, list) or not value:
        raise InvalidPrompt(f"{at}: must be a list that is not empty")
    return value


def _target(root: JsonObject, reference: JsonValue) -> JsonObject | None:
    """What `#` or `#/$defs/name` names. None also for names that not all engines read alike."""
    if not isinstance(reference, str) or not _UNDISPUTED.fullmatch(reference):
        return None
    if reference == "#":
        return root
    for place in ("$defs", "definitions"):
        defined = root.get(place)
        name = reference.removeprefix(f"#/{place}/")
        if name != reference and isinstance(defined, dict):
            found = defined.get(name)
            return found if isinstance(found, dict) else None
    return None


def _refuse_circles(root: JsonObject) -> None:
    """Raises InvalidPrompt for a schema that is, after any choices, nothing but itself.

    Each schema is walked into once: one that was left without a circle is in none.
    """
    left: set[int] = set()
    for start in (root, *_definitions(root)):
        if id(start) in left:
            continue
        entered = {id(start)}
        path = [(start, _same_place(root, start))]
        while path:
            schema, following = path[-1]
            inner = next((each for each in following if id(each) not in left), None)
            if inner is None:
                path.pop()
                left.add(id(schema))
            elif id(inner) in entered:
                raise InvalidPrompt("schema: a $ref leads back to itself")
            else:
                entered.add(id(inner))
                path.append((inner, _same_place(root, inner)))


def _definitions(root: JsonObject) -> Iterator[JsonObject]:
    for place in ("$defs", "definitions"):
        defined = root.get(place)
        if isinstance(defined, dict):
            yield from (schema for schema in defined.values() if isinstance(schema, dict))


def _same_place(root: JsonObject, schema: JsonObject) -> Iterator[JsonObject]:
    """Schemas that may describe the very value which `schema` does."""
    target = _target(root, schema.get("$ref"))
    if target is not None:
        yield target
    choices = schema.get("anyOf")
    if isinstance(choices, list):
        yield from (choice for choice in choices if isinstance(choice, dict))
