"""From bytes and query strings to pydantic models; what is wrong is named, never repeated."""

from typing import Any

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from decentralized_vllm.protocol.canonical_json import MAX_JSON_DEPTH, check_depth
from decentralized_vllm.protocol.errors import InvalidDocument
from dvllm_gateway.errors import InvalidRequest

MAX_FIELD_CHARACTERS = 100
MAX_JSON_NODES = 50_000  # arrays and objects: several times what the largest sensible body has

_FORM_OF_UNION = "literal["  # stands in a place beside the fields' names
_OF_OWN_CHECKS = "Value error, "  # pydantic's, before the words of a validator


def body_of(model: type[BaseModel], raw: bytes) -> BaseModel:
    """Strict: no text becomes a number, no number a truth value, and no field has two names.

    Raises InvalidRequest.
    """
    _check_shape(raw)
    try:
        return model.model_validate_json(raw, strict=True, by_name=False)
    except ValidationError as error:
        raise first_problem(error) from None


def query_of(model: type[BaseModel], query: MultiMapping[str]) -> BaseModel:
    """Lax, since everything is text there. A parameter given twice is a list."""
    values: dict[str, Any] = {}
    for name in query:
        given = query.getall(name)
        values[name] = given[0] if len(given) == 1 else given
    try:
        return model.model_validate(values, by_name=False)
    except ValidationError as error:
        raise first_problem(error) from None


def first_problem(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_input=False)[0]
    place, said = list(first["loc"]), first["msg"].removeprefix(_OF_OWN_CHECKS)
    if first["type"] == "union_tag_invalid":  # pydantic's own words repeat what was sent
        place.append(first["ctx"]["discriminator"].strip("'"))
        said = f"Input should be one of {first['ctx']['expected_tags']}"
    named = (str(part) for part in place if not str(part).startswith(_FORM_OF_UNION))
    field = ".".join(named)[:MAX_FIELD_CHARACTERS]
    if not field:
        return InvalidRequest(f"the body is not what it should be: {said}")
    return InvalidRequest(f"{field}: {said}", field=field)


def _check_shape(raw: bytes) -> None:
    """Bounds what the parser does on the loop, where everybody else waits for it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_JSON_DEPTH:
        return
    try:
        check_depth(raw.decode("utf-8"), most_brackets=2 * MAX_JSON_NODES)
    except UnicodeDecodeError:
        raise InvalidRequest("JSON is UTF-8") from None
    except InvalidDocument as error:
        raise InvalidRequest(error.message) from None
