"""OpenAPI 3.1 of a dialect, made of the same operations that serve it."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version as package_version
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from dvllm_gateway.http.operation import Dialect, Operation
from dvllm_gateway.services.principals import Scope

_REF = "#/components/schemas/{model}"
_PATTERN = re.compile(r"\{(\w+):[^}]*\}")
_PARAMETER = re.compile(r"\{(\w+)\}")
_STREAM = "text/event-stream"

Schema = dict[str, Any]
SchemaKey = tuple[type[BaseModel], JsonSchemaMode]
Refs = Mapping[Any, Schema]  # by SchemaKey

_SECURITY_SCHEMES: Schema = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "wallet": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Signature 0x…`: an EIP-191 signature over the request, with the headers "
        "X-Wallet-Address, X-Wallet-Timestamp and X-Wallet-Nonce.",
    },
}


def openapi_document(dialect: Dialect) -> bytes:
    return orjson.dumps(describe(dialect))


def describe(dialect: Dialect) -> Schema:
    refs, definitions = _schemas(dialect)
    paths: dict[str, Schema] = {}
    for operation in dialect.operations:
        path = paths.setdefault(documented_path(operation.path), {})
        path[operation.method.lower()] = _operation(operation, dialect, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": dialect.title,
            "version": package_version("decentralized-vllm-gateway"),
        },
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": _SECURITY_SCHEMES},
    }


def documented_path(path: str) -> str:
    """Without the router's patterns."""
    return _PATTERN.sub(r"{\1}", path)


def _schemas(dialect: Dialect) -> tuple[Refs, Schema]:
    keys = dict.fromkeys(_models(dialect))
    refs, shared = models_json_schema(list(keys), ref_template=_REF)
    return refs, shared.get("$defs", {})


def _models(dialect: Dialect) -> Iterable[SchemaKey]:
    yield dialect.errors.model, "serialization"
    for operation in dialect.operations:
        if operation.body is not None:
            yield operation.body, "validation"
        if operation.query is not None:
            yield operation.query, "validation"
        for reply in operation.replies.values():
            if reply is not None:
                yield reply, "serialization"


def _operation(operation: Operation, dialect: Dialect, refs: Refs) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation, dialect, refs),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.scope is not None:
        described["security"] = _security(operation.scope)
    if operation.body is not None:
        kind = "application/json" if operation.reads_body else "multipart/form-data"
        schema = refs[operation.body, "validation"]
        described["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    if operation.spends:
        described["parameters"].append(_idempotency_key())
    return described


def _security(scope: Scope) -> list[Schema]:
    wallet = {"wallet": [scope.value]}
    return [wallet] if scope is Scope.OWNER else [{"apiKey": [scope.value]}, wallet]


def _path_parameters(operation: Operation) -> list[Schema]:
    names = _PARAMETER.findall(documented_path(operation.path))
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _query_parameters(operation: Operation) -> list[Schema]:
    """A query model is flat, so its schema stands alone."""
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": each}
        for name, each in schema.get("properties", {}).items()
    ]


def _idempotency_key() -> Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "The same key and body get the same reply for a day, and cost once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    }


def _responses(operation: Operation, dialect: Dialect, refs: Refs) -> Schema:
    responses: Schema = {}
    for status, model in operation.replies.items():
        content: Schema = {}
        if model is not None:
            content["application/json"] = {"schema": refs[model, "serialization"]}
        if operation.streams and status == 200:
            content[_STREAM] = {"schema": {"type": "string"}}
        responses[str(status)] = {"description": "Done.", "content": content}
    error = {"schema": refs[dialect.errors.model, "serialization"]}
    responses["default"] = {
        "description": "An error, in the words of this API.",
        "content": {"application/json": error},
    }
    return responses
