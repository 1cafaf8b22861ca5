"""Numbers of JSON bodies: to JSON Schema, 7.0 is as whole as 7."""

from typing import Any

from pydantic import BeforeValidator

from decentralized_vllm.protocol.documents import MAX_SAFE_INTEGER


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value


# Put it last into Annotated: the bounds before it are then those of an int, also in JSON Schema.
WHOLE = BeforeValidator(_whole)
