"""What a body may cost before anybody looks at what it says."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from decentralized_vllm.protocol.canonical_json import MAX_JSON_DEPTH
from dvllm_gateway.errors import InvalidRequest
from dvllm_gateway.http.validation import MAX_JSON_FIELDS, MAX_JSON_NODES, body_of


class Said(BaseModel):
    text: str
    more: list[object] = []


def test_body_of__too_many_arrays__refused_unparsed() -> None:
    raw = b'{"text":"a","more":[' + b"[]," * MAX_JSON_NODES + b"[]]}"
    with pytest.raises(InvalidRequest, match="arrays and objects"):
        body_of(Said, raw)


def test_body_of__too_many_fields__refused_unparsed() -> None:
    fields = ",".join(f'"{number}":0' for number in range(MAX_JSON_FIELDS))
    with pytest.raises(InvalidRequest, match="fields"):
        body_of(Said, f'{{"text":"a",{fields}}}'.encode())


def test_body_of__colons_in_text__are_text() -> None:
    text = ":" * (MAX_JSON_FIELDS + 1)
    assert body_of(Said, json.dumps({"text": text}).encode()) == Said(text=text)


def test_body_of__too_deep__refused() -> None:
    deep = "[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1)
    with pytest.raises(InvalidRequest, match="deeper"):
        body_of(Said, f'{{"text":"a","more":{deep}}}'.encode())


def test_body_of__brackets_in_text__are_text() -> None:
    text = '[{"\\' * 2 * MAX_JSON_NODES
    assert body_of(Said, json.dumps({"text": text}).encode()) == Said(text=text)


def test_body_of__no_utf_8__refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        body_of(Said, b'{"text":"\xff"' + b"[" * 100)


def test_body_of__refused_by_a_check_of_ours__in_its_words_alone() -> None:
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def _is_even(cls, number: int) -> int:
            if number % 2:
                raise ValueError("must be even")
            return number

    with pytest.raises(InvalidRequest, match=r"^number: must be even$"):
        body_of(Even, b'{"number":3}')


def test_body_of__a_field_by_its_inner_name__is_not_it() -> None:
    class Spelled(BaseModel):
        model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

        max_tokens: int = Field(alias="maxTokens")

    assert body_of(Spelled, b'{"maxTokens":3}') == Spelled(max_tokens=3)
    with pytest.raises(InvalidRequest, match=r"^maxTokens: "):
        body_of(Spelled, b'{"max_tokens":3}')


class Circle(BaseModel):
    shape: Literal["circle"]
    radius: int


class Box(BaseModel):
    shape: Literal["box"]
    sides: list[int]
    box: Circle | None = None


class Drawing(BaseModel):
    parts: list[Annotated[Circle | Box, Field(discriminator="shape")]] = []
    size: Literal["small", "large"] | Circle | None = None


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"parts": [{"shape": "circle", "radius": "x"}]}, "parts.0.radius: Input .* integer"),
        ({"parts": [{"shape": "circle"}]}, "parts.0.radius: Field required"),
        ({"parts": [{"shape": "box"}]}, "parts.0.sides: Field required"),
        ({"parts": [{"shape": "box", "sides": [1, "x"]}]}, "parts.0.sides.1: Input .* integer"),
        (
            {"parts": [{"shape": "box", "sides": [], "box": {"shape": "circle"}}]},
            "parts.0.box.radius: Field required",
        ),
        ({"parts": [{"radius": 1}]}, "parts.0.shape: Field required"),
        ({"parts": [{"shape": "x"}]}, "parts.0.shape: Input should be one of 'circle', 'box'"),
        ({"parts": [None]}, "parts.0: "),
        ({"size": "medium"}, "size: Input should be 'small' or 'large'"),
    ],
)
def test_body_of__wrong_in_a_form_of_a_union__is_named_as_it_stands_in_the_body(
    sent: object, complaint: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{complaint}") as refusal:
        body_of(Drawing, json.dumps(sent).encode())
    assert refusal.value.field == complaint.partition(":")[0]


def test_body_of__no_json__names_no_field() -> None:
    with pytest.raises(InvalidRequest, match="not what it should be") as refusal:
        body_of(Drawing, b'{"parts":')
    assert refusal.value.field is None
