"""Vectors of texts, as the text of an answer: `{"embeddings":["<base64>", …]}`, canonical JSON.

Each is the base64 of little-endian float32, as OpenAI's API carries them: exact, and a fraction of
the digits. Such an answer has no output tokens; its receipt covers the text as of any other.
"""

import base64
import binascii
import math
import struct
from collections.abc import Sequence

from decentralized_vllm.protocol import canonical_json
from decentralized_vllm.protocol.documents import MAX_RESPONSE_BYTES
from decentralized_vllm.protocol.errors import InvalidDocument, InvalidResponse

MAX_INPUTS = 256
MAX_DIMENSIONS = 16_384
_BRACKETS = 4  # lists in place of vectors take seconds to be read

Vector = tuple[float, ...]


def vectors_text(vectors: Sequence[Sequence[float]]) -> str:
    """`vectors` is [inputs, dimensions]; precision beyond float32 is lost."""
    encoded: list[canonical_json.JsonValue] = [
        base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() for vector in vectors
    ]
    return canonical_json.encode({"embeddings": encoded}).decode()


def read_vectors(text: str, n_inputs: int) -> list[Vector]:
    """One for each input, all of one length, finite. Raises InvalidResponse."""
    data = text.encode("utf-8", "surrogatepass")  # which is no JSON, as it then says
    try:
        canonical_json.check_depth(text, most_brackets=_BRACKETS)
        fields = canonical_json.decode(data, max_bytes=MAX_RESPONSE_BYTES)
    except InvalidDocument as error:
        raise InvalidResponse(f"no vectors: {error.message}") from error
    encoded = fields.get("embeddings") if isinstance(fields, dict) else None
    if not isinstance(encoded, list) or len(encoded) != n_inputs:
        raise InvalidResponse(f"no vectors of {n_inputs} inputs")
    vectors = [_vector(each) for each in encoded]
    if len({len(vector) for vector in vectors}) != 1:
        raise InvalidResponse("vectors of several lengths")
    return vectors


def _vector(encoded: canonical_json.JsonValue) -> Vector:
    try:
        data = base64.b64decode(encoded if isinstance(encoded, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidResponse("a vector is not base64") from error
    n_dimensions, rest = divmod(len(data), 4)
    if rest or not 0 < n_dimensions <= MAX_DIMENSIONS:
        raise InvalidResponse(f"a vector of {len(data)} bytes")
    vector = struct.unpack(f"<{n_dimensions}f", data)
    if not all(map(math.isfinite, vector)):
        raise InvalidResponse("a vector is not finite")
    return vector
