"""From bytes and query strings to pydantic models; what is wrong is named, never repeated."""

from collections.abc import Iterator
from typing import Any

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from decentralized_vllm.protocol.canonical_json import MAX_JSON_DEPTH, check_depth
from decentralized_vllm.protocol.errors import InvalidDocument
from dvllm_gateway.errors import InvalidRequest

MAX_FIELD_CHARACTERS = 100
# Several times what the largest sensible body has.
MAX_JSON_NODES = 25_000  # arrays and objects
MAX_JSON_FIELDS = 25_000

_OF_OWN_CHECKS = "Value error, "  # pydantic's, before the words of a validator
_OF_UNIONS = {
    "union_tag_invalid": "Input should be one of {expected_tags}",
    "union_tag_not_found": "Field required",
}


def body_of(model: type[BaseModel], raw: bytes) -> BaseModel:
    """Strict: no text becomes a number, no number a truth value, and no field has two names.

    Raises InvalidRequest.
    """
    _check_shape(raw)
    try:
        return model.model_validate_json(raw, strict=True, by_name=False)
    except ValidationError as error:
        raise first_problem(error, _sent(raw)) from None


def query_of(model: type[BaseModel], query: MultiMapping[str]) -> BaseModel:
    """Lax, since everything is text there. A parameter given twice is a list."""
    values: dict[str, Any] = {}
    for name in query:
        given = query.getall(name)
        values[name] = given[0] if len(given) == 1 else given
    try:
        return model.model_validate(values, by_name=False)
    except ValidationError as error:
        raise first_problem(error, values) from None


def first_problem(error: ValidationError, sent: Any = None) -> InvalidRequest:
    """`sent` is what was refused; without it, what is refused may have no unions."""
    first = error.errors(include_url=False, include_input=False)[0]
    kind, said = first["type"], first["msg"].removeprefix(_OF_OWN_CHECKS)
    loc, lacks_last = first["loc"], kind == "missing"
    place = list(map(str, loc if sent is None else _place(loc, sent, lacks_last=lacks_last)))
    if kind in _OF_UNIONS:  # pydantic's own words repeat what was sent, or tell of its insides
        place.append(first["ctx"]["discriminator"].strip("'"))
        said = _OF_UNIONS[kind].format_map(first["ctx"])
    field = ".".join(place)[:MAX_FIELD_CHARACTERS]
    if not field:
        return InvalidRequest(f"the body is not what it should be: {said}")
    return InvalidRequest(f"{field}: {said}", field=field)


def _place(loc: tuple[int | str, ...], sent: Any, *, lacks_last: bool) -> Iterator[int | str]:
    """As it stands in what was sent: pydantic names also which form of a union it tried."""
    for n_behind, part in zip(reversed(range(len(loc))), loc, strict=True):
        is_there = _is_in(sent, part)
        if is_there or isinstance(part, int) or (lacks_last and not n_behind):
            yield part
        if is_there:
            sent = sent[part]


def _is_in(sent: Any, part: int | str) -> bool:
    """A text that is read as a list of one has no place 0."""
    if isinstance(part, int):
        return isinstance(sent, list) and part < len(sent)
    return isinstance(sent, dict) and part in sent


def _sent(raw: bytes) -> Any:
    """None where it is no JSON at all, of which no field is wrong."""
    try:
        return from_json(raw)
    except ValueError:
        return None


def _check_shape(raw: bytes) -> None:
    """Bounds what the parser does on the loop, where everybody else waits for it."""
    n_opening = raw.count(b"[") + raw.count(b"{")
    if n_opening <= MAX_JSON_DEPTH and raw.count(b":") <= MAX_JSON_FIELDS:
        return
    try:
        text = raw.decode("utf-8")
        check_depth(text, most_brackets=2 * MAX_JSON_NODES, most_fields=MAX_JSON_FIELDS)
    except UnicodeDecodeError:
        raise InvalidRequest("JSON is UTF-8") from None
    except InvalidDocument as error:
        raise InvalidRequest(error.message) from None
