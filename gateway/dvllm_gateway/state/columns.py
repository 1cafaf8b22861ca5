"""Types of columns that SQLite and PostgreSQL would not keep alike by themselves."""

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, Numeric, String
from sqlalchemy.types import TypeDecorator, TypeEngine

UINT256_DIGITS = 78

# SQLite counts up only a column of its own type INTEGER.
CountedId = BigInteger().with_variant(Integer(), "sqlite")


class ExactInteger(TypeDecorator[int]):
    """An integer of up to 78 digits, such as wei or a job's number.

    SQLite's own integers end at 64 bits, so it keeps decimal text there: fit to be compared for
    equality and to be read, never to be added up or ordered by the database.
    """

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(UINT256_DIGITS + 1))
        return dialect.type_descriptor(Numeric(UINT256_DIGITS, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | Decimal | None:
        if value is None:
            return None
        return str(value) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class AnyText(TypeDecorator[str]):
    """Text of strangers, kept as bytes: PostgreSQL's text can not hold U+0000, JSON's can."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else bytes(value).decode("utf-8", "surrogatepass")
