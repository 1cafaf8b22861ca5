from dataclasses import replace
from typing import Any

import pytest

from dvllm_gateway.http.docs_page import docs_page
from dvllm_gateway.http.openapi import describe
from tests.support.toy_dialect import Toy, toy_dialect


@pytest.fixture
def document() -> dict[str, Any]:
    return describe(toy_dialect(Toy()))


def schema(document: dict[str, Any], ref: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][ref["$ref"].rpartition("/")[2]]
    return found


def test_paths__are_without_patterns_and_have_their_parameters(document: dict[str, Any]) -> None:
    thing = document["paths"]["/toys/things/{name}"]["get"]

    assert [(each["name"], each["in"], each["required"]) for each in thing["parameters"]] == [
        ("name", "path", True),
        ("limit", "query", False),
    ]
    assert thing["parameters"][1]["schema"]["maximum"] == 100


def test_methods__of_one_path__stand_together(document: dict[str, Any]) -> None:
    assert "delete" in document["paths"]["/toys/things"]


def test_replies__have_the_names_that_are_sent(document: dict[str, Any]) -> None:
    reply = document["paths"]["/toys/sums"]["post"]["responses"]["200"]
    model = schema(document, reply["content"]["application/json"]["schema"])

    assert set(model["properties"]) == {"total", "nameOfField"}


def test_errors__of_every_operation__are_the_dialects(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            default = operation["responses"]["default"]["content"]["application/json"]
            assert set(schema(document, default["schema"])["properties"]) == {
                "oops",
                "said",
                "request",
            }


def test_spending__takes_an_idempotency_key_and_credentials(document: dict[str, Any]) -> None:
    operation = document["paths"]["/toys/sums"]["post"]

    assert "Idempotency-Key" in [each["name"] for each in operation["parameters"]]
    assert operation["security"] == [{"apiKey": ["infer"]}, {"wallet": ["infer"]}]
    assert "security" not in document["paths"]["/toys/broken"]["get"]


def test_streams_and_forms__are_named_by_their_content_types(document: dict[str, Any]) -> None:
    form = document["paths"]["/toys/form"]["post"]

    assert list(form["requestBody"]["content"]) == ["multipart/form-data"]
    assert document["openapi"] == "3.1.0"


def test_docs_page__shows_what_strangers_wrote_as_text() -> None:

    toy = toy_dialect(Toy())
    evil = replace(toy.operations[0], summary="<script>alert(1)</script>")
    page = docs_page([replace(toy, operations=(evil,))])

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
