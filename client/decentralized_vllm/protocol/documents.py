"""What prompt and response documents share: version, size limits and how a broken one is told."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

DOCUMENT_VERSION = 1

# The first bounds what a node reads for a job it was not yet paid for, the second what a requester
# (or a validator) reads: 128k tokens of text with their ids take less than a quarter of it.
MAX_PROMPT_BYTES = 1 << 20
MAX_RESPONSE_BYTES = 8 << 20
# Of one object. A schema, the only part with names of its own, has no room for so many; and of each
# that is unknown the validator keeps an error.
MAX_FIELDS = 4096
MAX_PLACE_SHOWN = 100

# The coordinator's uint24 and uint32; see struct Terms and submitResponse.
MAX_TOKENS_OF_TERMS = (1 << 24) - 1
MAX_TOKENS_BILLED = (1 << 32) - 1
MAX_SAFE_INTEGER = (1 << 53) - 1  # what JSON carries exactly in every language

# Not Literal[1], which would take `true` as well.
Version = Annotated[int, Field(ge=DOCUMENT_VERSION, le=DOCUMENT_VERSION)]
CidText = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9]+$")]


class Schema(BaseModel):
    """Base of the wire schemas: exact types, no unknown field, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


def describe(error: ValidationError) -> str:
    """One line naming the first broken field; the value stays out of logs and error texts.

    Lists of documents have `fail_fast`, since all errors are kept, and made into Python's here.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:MAX_PLACE_SHOWN] or "document"
    return f"{place if place.isprintable() else ascii(place)}: {first['msg']}"
