"""Where formulas run: Jinja2's sandbox, in which there is nothing but numbers and a list of functions.

:mod:`airflow_dataquality.formula` lets nothing else through; what is refused here as well would be a mistake there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from airflow_dataquality.errors import did_you_mean


class CannotTell(Exception):
    """These numbers do not answer the formula: one is NULL, or a division is by zero."""


class Misfit(CannotTell):
    """No numbers of these queries can answer the formula: a column is missing, or holds text."""


@dataclass(frozen=True)
class Function:
    """A function that formulas may call.

    :param least: arguments at least
    :param most: arguments at most
    """

    doc: str
    compute: Callable[..., float]
    least: int = 1
    most: int = 1


def _round(number: float, digits: float = 0.0) -> float:
    return round(number, int(digits))


FUNCTIONS: dict[str, Function] = {
    "abs": Function("the size of x, without its sign", abs),
    "ceil": Function("the smallest whole number that is not below x", math.ceil),
    "exp": Function("e to the power of x", math.exp),
    "floor": Function("the largest whole number that is not above x", math.floor),
    "log": Function("the natural logarithm of x, or its logarithm to the base of a second argument", math.log, 1, 2),
    "log10": Function("the logarithm of x to base 10", math.log10),
    "log2": Function("the logarithm of x to base 2", math.log2),
    "max": Function("the largest of two or more numbers", max, 2, 20),
    "min": Function("the smallest of two or more numbers", min, 2, 20),
    "pow": Function("x to the power of the second argument, as `x ** y`", operator.pow, 2, 2),
    "round": Function("x, rounded to whole numbers or to as many digits as a second argument says", _round, 1, 2),
    "sqrt": Function("the square root of x", math.sqrt),
}
_BINARY: dict[str, Callable[[float, float], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_UNARY: dict[str, Callable[[float], float]] = {"+": operator.pos, "-": operator.neg}


class Row:
    """The row of a query, as a formula sees it: columns that hold numbers.

    :param scope: what the formula calls it
    """

    def __init__(self, scope: str, values: Mapping[str, Any]) -> None:
        self.scope = scope
        self.values = values

    def name(self, column: str) -> str:
        """The column's exact name: a database may have folded it.

        :raises Misfit: naming the columns that there are
        """
        if column in self.values:
            return column
        folded = [name for name in self.values if name.lower() == column.lower()]
        if len(folded) == 1:
            return folded[0]
        candidates = did_you_mean(column, self.values, label="it returned")
        raise Misfit(f"the {self.scope} query returned no column {column!r} ({candidates})")

    def number(self, column: str) -> int | float:
        """What the column holds.

        :raises CannotTell: if that is no number
        """
        return number(self.values[self.name(column)], f"{self.scope}.{column}")


def number(value: Any, what: str) -> int | float:
    """A value of a database as a number: a float, but for whole numbers that no float holds exactly.

    :param what: what to call it in a reason
    :raises CannotTell: if it is NULL, NaN or infinite
    :raises Misfit: if it is of another type
    """
    if value is None:
        raise CannotTell(f"{what} is NULL")
    if isinstance(value, bool):
        return value
    if not isinstance(value, int | float | Decimal):
        raise Misfit(f"{what} is {type(value).__name__} {str(value)[:40]!r}, and no number: convert it in the SQL")
    try:
        converted = float(value)
    except (OverflowError, ValueError):  # a signalling NaN has no float
        raise CannotTell(f"{what} is {str(value)[:40]}, which is beyond what can be computed") from None
    if not math.isfinite(converted):
        raise CannotTell(f"{what} is {value}")
    if converted != value and value == int(value):
        return int(value)
    return converted


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox, in which operators, calls and dots are ours, and all arithmetic is in floats."""

    intercepted_binops = frozenset(_BINARY)
    intercepted_unops = frozenset(_UNARY)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A column of a row. There are no other dots."""
        return obj.number(attribute) if isinstance(obj, Row) else _refuse()

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Nothing has items."""
        _refuse()

    def call(self, context: Any, obj: Any, /, *arguments: Any, **named: Any) -> Any:
        """One of the functions. There are no other calls."""
        if not isinstance(obj, Function) or named:
            _refuse()
        name = next(name for name, function in FUNCTIONS.items() if function is obj)
        return _computed(obj.compute, arguments, f"{name}({', '.join(map(str, arguments))})")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic of two numbers."""
        return _computed(_BINARY[operator], (left, right), f"{left} {operator} {right}")

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        """The sign of a number."""
        return _computed(_UNARY[operator], (arg,), f"{operator}{arg}")


def _refuse() -> NoReturn:
    raise SecurityError("not part of a formula")


def _computed(compute: Callable[..., Any], arguments: tuple[Any, ...], what: str) -> float:
    """Compute in floats: integers would grow without bounds."""
    if not all(isinstance(argument, int | float) for argument in arguments):
        _refuse()
    try:
        result = float(compute(*map(float, arguments)))
    except ZeroDivisionError:
        raise CannotTell(f"division by zero in {what}") from None
    except OverflowError:
        result = math.inf
    except (TypeError, ValueError):  # a complex number is no float
        result = math.nan
    if math.isfinite(result):
        return result
    raise CannotTell(f"{what} " + ("has no value" if math.isnan(result) else "is too large to be computed"))


# Not optimized: Jinja2 would compute what is constant when it compiles.
SANDBOX = Sandbox(optimized=False, cache_size=0)
for _builtins in (SANDBOX.globals, SANDBOX.filters, SANDBOX.tests):
    _builtins.clear()
SANDBOX.globals.update(FUNCTIONS)
