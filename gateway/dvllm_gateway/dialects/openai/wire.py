"""How this dialect reads and writes bodies: snake_case, and deaf to fields it does not know."""

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """Strict: text is no number, and true is no 1. Clients send many fields that change nothing."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, protected_namespaces=())
