"""Fields that hold a text or a list: read as a list, so that what is wrong is named once.

A union would try each of its forms, and complain of the first one.
"""

from typing import Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return value
    raise PydanticCustomError("text_or_list", "Input should be a valid string or list")


def _texts(value: Any) -> Any:
    listed = _listed(value)
    if any(isinstance(each, int | list) and not isinstance(each, bool) for each in listed):
        raise PydanticCustomError("tokens", "tokens are not served, send text")
    return listed


def _prompts(value: Any) -> Any:
    """What begins with a number is one prompt's tokens."""
    listed = _listed(value)
    if listed and _is_number(listed[0]):
        return [listed]
    if len({form_of_prompt(each) for each in listed}) > 1:
        raise PydanticCustomError("texts_or_tokens", "Input should be texts or tokens, not both")
    return listed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def one_or_more(given: Any) -> BeforeValidator:
    """`given` is what may be sent, for JSON Schema."""
    return BeforeValidator(_listed, json_schema_input_type=given)


def one_or_more_texts(given: Any) -> BeforeValidator:
    """As `one_or_more`, where OpenAI takes tokens too."""
    return BeforeValidator(_texts, json_schema_input_type=given)


def one_or_more_prompts(given: Any) -> BeforeValidator:
    """As `one_or_more`, where each is a text or a list of tokens."""
    return BeforeValidator(_prompts, json_schema_input_type=given)


def form_of_prompt(value: Any) -> str:
    return "tokens" if isinstance(value, list) else "text"
