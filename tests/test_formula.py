"""Formulas: what they say, what they refuse, and that nothing gets out of them."""

from __future__ import annotations

import math
import re
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2.exceptions import SecurityError

from airflow_dataquality.errors import SpecError
from airflow_dataquality.formula import FUNCTIONS, CannotTell, Formula, Misfit, check_params, sandbox, syntax
from airflow_dataquality.formula.sandbox import SANDBOX

ROWS: dict[str, dict[str, Any]] = {
    "control": {"avg": 113.8, "stddev": 6.8, "n": 28, "zero": 0, "gone": None, "nan": math.nan, "name": "EU"},
    "experiment": {"avg": 120, "low": -3, "ok": True, "exact": Decimal("0.1"), "day": date(2013, 2, 1)},
}
HANGS = 10
"""Seconds of a processor after which a formula is a bomb."""

PARAMS = {"z_score": 3, "share": Decimal("0.5")}


def formula(text: str) -> Formula:
    return Formula(text, tuple(PARAMS))


def holds(text: str) -> bool:
    return formula(text).holds(ROWS, PARAMS)


# -- what they say


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        (
            "abs((experiment.avg - control.avg) / control.stddev) <= z_score",
            True,
            "abs((120.0 - 113.8) / 6.8) <= 3.0",
        ),
        ("experiment.avg<control.avg", False, "120.0<113.8"),
        ("control.n >= 7 and control.n % 7 == 0", True, "28.0 >= 7 and 28.0 % 7 == 0"),
        ("0 < experiment.low + 4 < 2", True, "0 < (-3.0) + 4 < 2"),
        ("abs(experiment.low) == 3", True, "abs(-3.0) == 3"),
        ("experiment.low ** 2 == 9", True, "(-3.0) ** 2 == 9"),
        ("2 - experiment.low == 5", True, "2 - (-3.0) == 5"),
        ("control.zero == 0 or 1 / control.zero < 1", True, "0.0 == 0 or 1 / 0.0 < 1"),
        ("experiment.ok == true", True, "True == true"),
        ("not experiment.ok == true", False, "not True == true"),
        ("experiment.exact == 0.1", True, "0.1 == 0.1"),
        ("(3 if control.n > 20 else 5) < share * 8", True, "(3 if 28.0 > 20 else 5) < 0.5 * 8"),
        ("control.n > 9 if experiment.ok == true else false", True, "28.0 > 9 if True == true else false"),
        ("control.n // 3 == 9 and control.n / 8 == 3.5", True, "28.0 // 3 == 9 and 28.0 / 8 == 3.5"),
        ("max(control.n, 30, 1e2) == pow(10, 2)", True, "max(28.0, 30, 1e2) == pow(10, 2)"),
        ("pow(control.zero, 2) + exp(control.zero) + log2(control.n) < 9", True, None),
        ("min(control.n, 3) + round(control.avg) < 200", True, None),
        ("log(exp(control.n)) > 27.9 and log(8, 2) == log2(8)", True, None),
        ("round(experiment.exact * 12.345, 2) == 1.23", True, "round(0.1 * 12.345, 2) == 1.23"),
        ("floor(control.avg) == 113\n  and ceil(control.avg) == 114", True, None),
        ("sqrt(control.n) <= log10(control.n) * min(4, 5)", True, None),
        ("experiment.AVG == 120", True, "120.0 == 120"),
        ("control.gone == 1 or experiment.day > 2", None, "NULL == 1 or '2013-02-01' > 2"),
        ("control.nan > 1", None, "nan > 1"),
        ("control.name > 1 or control.lost > 1", None, "'EU' > 1 or control.lost > 1"),
    ],
)  # fmt: skip
def test_what_a_formula_says(text: str, expected: bool | None, shown: str | None) -> None:
    assert str(formula(text)) == text
    if expected is not None:
        assert holds(text) is expected
    if shown is not None:
        assert formula(text).with_values(ROWS, PARAMS) == shown


@pytest.mark.parametrize("number", [2**53 + 1, Decimal(2**53 + 1), -(10**17) - 1])
def test_whole_numbers_are_compared_exactly(number: Any) -> None:
    rows = {"control": {"n": number}, "experiment": {"n": int(number) - 1}}
    assert float(number) == float(number - 1)
    assert not Formula("control.n == experiment.n").holds(rows, {})
    assert Formula("control.n == experiment.n").with_values(rows, {}).startswith(f"{number} == ")


def test_the_columns_that_a_formula_names() -> None:
    assert formula("control.b + control.a > control.b").columns == {"control": ["a", "b"], "experiment": []}


def test_every_function_is_called_somewhere_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in FUNCTIONS if f"{name}(control" not in source]


def test_every_function_is_on_the_page() -> None:
    page = Path(__file__).parent.parent / "docs" / "pages" / "guides" / "control-experiment.md"
    listed = re.findall(r"^\| `(\w+)\([^`]*\)` \| (.*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(listed) == {name: function.doc for name, function in FUNCTIONS.items()}


def test_names_that_python_or_jinja_use_are_names_here() -> None:
    used = "result context environment resolve undefined missing loop caller super varargs lipsum range dict namespace"
    for name in (*used.split(), "cond_expr_undefined", "block", "class"):
        check_params({name: 1}, "formula_params")
        assert Formula(f"control.n > {name}", (name,)).holds(ROWS, {name: 3}), name
    for column in ("if", "and", "min", "abs", "control", "items", "keys", "values", "pop", "class", "True"):
        rows = {"control": {column: 2}, "experiment": {}}
        assert Formula(f"control.{column} == 2").holds(rows, {}), column


@pytest.mark.parametrize("name", ["control", "and", "abs", "self", "none", "_x", "a b", "a.b", "é", "", 7, "__class__"])
def test_names_of_parameters_that_are_refused(name: Any) -> None:
    with pytest.raises(SpecError, match=r"formula_params: [\s\S]*Hint: "):
        check_params({name: 1}, "formula_params")


# -- when they cannot tell


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("control.gone > 1", "control.gone is NULL"),
        ("control.gone == control.gone", "control.gone is NULL"),
        ("control.nan != 1", "control.nan is nan"),
        ("control.avg / control.zero < 1", "division by zero in 113.8 / 0.0"),
        ("control.avg // control.zero < 1", "division by zero"),
        ("control.avg % control.zero < 1", "division by zero"),
        ("control.zero ** -1 < 1", "division by zero"),
        ("log(2, 1) < control.n", "division by zero in log(2, 1)"),
        ("sqrt(experiment.low) > 0", "sqrt(-3.0) has no value"),
        ("experiment.low ** 0.5 > 0", "-3.0 ** 0.5 has no value"),
        ("pow(experiment.low, 0.5) > 0", "has no value"),
        ("log(control.zero) < 0", "log(0.0) has no value"),
        ("exp(control.n * 99) > 0", "too large to be computed"),
        ("10 ** 300 * 10 ** 300 > control.n", "too large to be computed"),
        ("9 ** (9 ** 9) > control.n", "too large to be computed"),
        ("(((control.n ** 99) ** 99) ** 99) > 1", "too large to be computed"),
    ],
)
def test_numbers_that_do_not_say(text: str, says: str) -> None:
    with pytest.raises(CannotTell) as raised:
        holds(text)
    assert says in str(raised.value)
    assert not isinstance(raised.value, Misfit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("control.averge > 1", "the control query returned no column 'averge' (did you mean 'avg'? it returned: avg,"),
        ("control.n > 0 or control.lost > 0", "no column 'lost'"),
        ("control.name == 1", "control.name is str 'EU', and no number"),
        ("experiment.day > 1", "experiment.day is date '2013-02-01', and no number"),
    ],
)
def test_queries_that_do_not_fit(text: str, says: str) -> None:
    with pytest.raises(Misfit) as raised:
        holds(text)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity"), Decimal("1e400"), Decimal("sNaN"), 10**400]
)
def test_values_that_are_no_finite_numbers(value: Any) -> None:
    with pytest.raises(CannotTell):
        Formula("control.n == control.n").holds({"control": {"n": value}, "experiment": {}}, {})


@pytest.mark.parametrize("value", ["1", b"1", timedelta(1), [1], {"n": 1}, object(), 1j, Formula])
def test_values_that_are_no_numbers(value: Any) -> None:
    with pytest.raises(Misfit, match="and no number"):
        Formula("control.n == control.n").holds({"control": {"n": value}, "experiment": {}}, {})


def test_a_column_that_two_names_fold_to_is_neither() -> None:
    rows = {"control": {"N": 1, "n ": 2, "nN": 3, "Nn": 4}, "experiment": {}}
    assert Formula("control.n == 1").holds(rows, {})
    with pytest.raises(Misfit, match="no column 'nn'"):
        Formula("control.nn == 3").holds(rows, {})


# -- what is refused


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "nothing to compute"),
        ("control.avg", 1, "this is a number, where true or false is needed"),
        ("control.avg = 3", 13, "Hint: compare with =="),
        ("control.avg <= z_scor", 16, "unknown name 'z_scor'\n  control.avg <= z_scor\n                 ^\nHint: "),
        ("control.avg <= z_scor", 16, "Hint: did you mean 'z_score'? Names: abs, and,"),
        ("contrl.avg <= 3", 1, "did you mean 'control'?"),
        ("squareroot(control.avg) <= 3", 1, "unknown name 'squareroot'"),
        ("control.avg <= control", 16, "control without a column"),
        ("control <= 3", 1, "write control.avg"),
        ("control. <= 3", 1, "control without a column"),
        ("abs < control.avg", 1, "abs is a function"),
        ("abs(control.avg", 13, "the end of the formula"),
        ("control.avg < 3 3", 17, "goes on after its end"),
        ("control.avg <", 13, "the end of the formula"),
        ("control.avg < 1 and", 17, "the end of the formula"),
        ("round(control.avg, 1, 2) < 1", 6, "round takes 1 to 2 arguments, not 3"),
        ("sqrt() < control.n", 5, "sqrt takes 1 arguments, not 0"),
        ("min(control.n) < 1", 4, "min takes 2 to 20 arguments, not 1"),
        ("1 if control.n > 2", 18, "an if without else"),
        ("(1 if control.n else 2) > 1", 7, "this is a number, where true or false is needed"),
        ("(control.n > 1) + 1 > 0", 15, "this is true or false, where a number is needed"),
        ("(control.n > 1 if control.n > 2 else 3) == 1", 38, "this is a number"),
        ("not control.n", 5, "this is a number"),
        ("1 < 2", 1, "compares nothing"),
        ("-control.n ** 2 < 0", 1, "read in two ways"),
        ("2 ** 3 ** control.n > 1", 8, "read in two ways"),
        ("control.n > 1\n  and control.n < x", 19, "line 2, column 19: unknown name 'x'\n    and"),
        ("control.n is none", 11, "unknown name 'is'"),
        ("control.n AND 1", 11, "did you mean 'and'?"),
        ("log(control.n, else) > 1", 16, "'else' does not belong here"),
        ("if > control.n", 1, "'if' does not belong here"),
        ("control.n > none", 13, "unknown name 'none'"),
        ("control.n > 1" + " " * 987 + "x", 1001, "longer than 1000 characters"),
    ],
)  # fmt: skip
def test_what_is_refused_and_where(text: str, column: int, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        formula(text)
    assert says in str(raised.value)
    assert re.search(rf"column {column}\b", str(raised.value)), str(raised.value)
    assert "\nHint: " in str(raised.value)


@pytest.mark.parametrize("text", [None, 7, b"control.n > 1", ["control.n > 1"]])
def test_what_is_no_text(text: Any) -> None:
    with pytest.raises(SpecError, match="not a text"):
        Formula(text)


# -- that nothing gets out

ESCAPES = [
    "().__class__",
    "control.__class__ == 1",
    "control.__class__.__mro__[1].__subclasses__() == 1",
    "control.avg.__class__ == 1",
    "control.avg.real > 1",
    "control.items() == 1",
    "control.values.clear() == 1",
    "control.number('avg') > 1",
    "control['avg'] > 1",
    'control["__class__"] > 1',
    "control[0] > 1",
    "(control.avg)['__class__'] > 1",
    "control|length > 1",
    "control.avg|attr('__class__') > 1",
    "control.avg|string > 1",
    "[1]|map('attr', '__class__')|list > control.n",
    "control.avg is defined",
    "control.avg is mapping",
    "control.avg in experiment.low",
    "control.avg not in (1, 2)",
    "self > control.n",
    "self.__init__.__globals__ > control.n",
    "self._TemplateReference__context > control.n",
    "lipsum > control.n",
    "lipsum.__globals__['os'].popen('id').read() > control.n",
    "cycler.__init__.__globals__.os.popen('id') > control.n",
    "cycler('a') > control.n",
    "joiner.__init__ > control.n",
    "namespace(a=1).a > control.n",
    "dict(a=1) > control.n",
    "range(10**9) > control.n",
    "range(1000000000)|sum > control.n",
    "url_for.__globals__ > control.n",
    "get_flashed_messages > control.n",
    "config > control.n",
    "request.application > control.n",
    "caller() > control.n",
    "super() > control.n",
    "loop.index > control.n",
    "varargs > control.n",
    "__import__('os').system('id') > control.n",
    "abs.__globals__ > control.n",
    "abs.compute.__self__ > control.n",
    "abs(control) > 1",
    "min(control, experiment) > 1",
    "max(*control) > 1",
    "max(**control) > 1",
    "abs(x=control.avg) > 1",
    "abs(control.avg)(1) > 1",
    "(abs)(control.avg)() > 1",
    "control.avg() > 1",
    "z_score() > control.n",
    "'%s' % control.avg > 1",
    "'{0.__class__}'.format(control) > 1",
    '"a" * 10**10 > control.n',
    "'a' ~ 'b' > control.n",
    "control.avg ~ control.avg > 1",
    "''.join(control) > 1",
    "[].append(1) > control.n",
    "[1] * 10**9 > control.n",
    "{} > control.n",
    "{'a': control} > 1",
    "(1, 2, 3) > control.n",
    "() > control.n",
    "(control.n,) > 1",
    "control.n[1:2] > 1",
    "control.n[::] > 1",
    "9**9**9 > control.n",
    "2**-2**2 > control.n",
    "{% for x in range(9) %}{% endfor %}",
    "control.n > 1 }}{{ 7 * 7",
    "}}{{ control.n > 1 }}{{",
    "{{ control.n > 1 }}",
    "control.n > 1 {# comment #}",
    "control.n > 1 # comment",
    "## control.n > 1",
    "{%- set x = 1 -%}",
    "control.n > 1 %}",
    "control․avg > 1",  # a dot that is none
    "сontrol.avg > 1",  # a Cyrillic c
    "control.аvg > 1",  # a Cyrillic a
    "ｃontrol.avg > 1",
    "control.avg > １",
    "control.avg > ²",
    "control.avg ＞ 1",
    "control.avg\u200b > 1",  # of no width
    "control.avg > 1\x00",
    "(x := control.avg) > 1",
    "lambda: control.avg",
    "f'{control.avg}' > 1",
    "`control.avg` > 1",
    "control.avg; 1 > 0",
    "control.avg > 1, 2",
    "control.avg > 1 if",
    "import os",
    "control.avg @ 1 > 1",
    "control.avg & 1 > 1",
    "control.avg << 9999999999 > 1",
    "~control.avg > 1",
    "control.avg > 0x10",
    "control.avg > 1_000",
    "control.avg > 1j",
    "control.avg > 1e999",
    "control.avg > " + "9" * 400,
    "control.avg > ...",
    "control->avg > 1",
    "control?.avg > 1",
    "control.avg !> 1",
    "control.avg <> 1",
    "await control.avg > 1",
    "control.avg > 1 recursive",
    "yield control.avg",
    "control.0 > 1",
    "control._secret > 1",
    "control.n > 1 and true()",
    "(" * 21 + "control.n" + ")" * 21 + " > 1",
    "-" * 200 + "control.n > 1",
    "not " * 100 + "control.n > 1",
    "1 + " * 200 + "control.n > 1",
    "control.n < " * 130 + "1",
    "abs(" * 60 + "control.n" + ")" * 60 + " > 1",
    "1 if true else " * 40 + "control.n > 1",
    "control.n > 1 or " * 90 + "true",
]


@pytest.mark.parametrize("text", ESCAPES, ids=range(len(ESCAPES)))
def test_what_tries_to_get_out_is_refused(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(SpecError) as raised:
        formula(text)
    assert re.search(r"column \d+", str(raised.value))
    assert "\nHint: " in str(raised.value)
    assert time.process_time() - begun < HANGS


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20 + "control.n" + ")" * 20 + " > 1",
        "abs(" * 20 + "control.n" + ")" * 20 + " > 1",
        "1 + " * 45 + "control.n > 1",
        "- " * 45 + "control.n < 1 and " + "not " * 45 + "control.n > 1",
        "true if true else " * 45 + "control.n > 1",
        " and ".join(["control.n > 1"] * 41),
        " < ".join(str(n) for n in range(20)) + " < control.n",
        "max(" + ", ".join(["control.n"] * 20) + ") > 1",
    ],
    ids=range(8),
)
def test_formulas_at_the_limits_need_no_deep_stack(text: str) -> None:
    def deeper(levels: int) -> bool:
        return deeper(levels - 1) if levels else holds(text)

    assert isinstance(deeper(250), bool)


def test_there_are_enough_of_them() -> None:
    assert len(set(ESCAPES)) >= 60


@pytest.mark.parametrize(
    "source",
    ["control.__class__", "control.values.items", "control['avg']", "abs.compute", "1 .real", "abs(control)",
     "z_score()", "'a' * 9", "[1] + [2]", "control + 1", "-control", "+'a'", "abs(x=1)", "'%s' % 1"],
)  # fmt: skip
def test_the_sandbox_alone_lets_nothing_out(source: str) -> None:
    expression = SANDBOX.compile_expression(source, undefined_to_none=False)
    with pytest.raises((SecurityError, Misfit)):
        expression({"control": sandbox.Row("control", ROWS["control"]), **PARAMS})


@pytest.mark.parametrize("source", ["lipsum", "cycler", "range", "dict", "namespace", "joiner", "self.x", "x|string"])
def test_the_sandbox_has_nothing_but_the_functions(source: str) -> None:
    assert dict(SANDBOX.globals) == FUNCTIONS
    try:
        found = SANDBOX.compile_expression(source, undefined_to_none=False)({})
    except Exception:  # noqa: BLE001 - no filter, no attribute
        return
    assert not found


def test_powers_are_not_computed_when_a_formula_is_read() -> None:
    begun = time.process_time()
    for text in (
        "9 ** (9 ** (9 ** 9)) > control.n",
        "(10 ** 10) ** (10 ** 10) > control.n",
        "exp(exp(99)) > control.n",
    ):
        with pytest.raises(CannotTell):
            holds(text)
    assert time.process_time() - begun < HANGS


WORDS = [*FUNCTIONS, *syntax.WORDS, "control", "experiment", "control.avg", "experiment.low", "control.gone",
         "control.zero", "z_score", "share", ".", ",", "(", ")", "+", "-", "*", "/", "//", "%", "**", "<", "<=", "==",
         "!=", ">", "1", "0", "2.5", "1e9", "1e308", " ", "\n", "x", "__class__", "[", "]", "{{", "}}", "{%", "|", "~",
         "'", '"', "=", ":", "none", "is", "in", "self", "²", "é", "#"]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
@example("control.avg > 1")
def test_any_text_is_refused_with_its_place_or_says_something(text: str) -> None:
    begun = time.process_time()
    try:
        read = formula(text)
    except SpecError as error:
        match = re.search(r"(?:line (\d+), )?column (\d+): ", str(error))
        assert match
        lines = text.split("\n")
        assert int(match[2]) <= max(len(lines[int(match[1] or 1) - 1]), len(text.strip("\n")), 1)
    else:
        assert read.with_values(ROWS, PARAMS)
        try:
            assert isinstance(read.holds(ROWS, PARAMS), bool)
        except CannotTell as error:
            assert "cannot be computed" not in str(error)  # noqa: PT017 - either will do
    assert time.process_time() - begun < HANGS


VALID = [
    re.findall(r"\s+|\w+|[^\w\s]", text)
    for text in (
        "abs((experiment.avg - control.avg) / control.stddev) <= z_score",
        "not experiment.ok == true or 0 < log(control.n, 2) + 4 < 2 ** share",
        "control.zero == 0 or (3 if control.n > 20 else 5) < min(share, 8)",
    )
]
EDITS = st.tuples(st.sampled_from(["drop", "insert", "replace"]), st.integers(0, 30),
                  st.sampled_from([*WORDS, "if", "else", "not", "and"]))  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(VALID), st.lists(EDITS, min_size=1, max_size=4))
@example(VALID[1], [("replace", 25, "else")])
def test_what_is_nearly_a_formula_is_refused_or_says_something(tokens: list[str], edits: list[Any]) -> None:
    tokens = list(tokens)
    for edit, place, word in edits:
        tokens[place : place + (edit != "insert")] = [] if edit == "drop" else [word]
    try:
        read = formula("".join(tokens))
    except SpecError as error:
        assert re.search(r"column \d+: ", str(error))  # noqa: PT017 - either will do
        return
    try:
        assert isinstance(read.holds(ROWS, PARAMS), bool)
    except CannotTell as error:
        assert "cannot be computed" not in str(error)  # noqa: PT017 - as above


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
NUMBERS = st.recursive(
    st.one_of(
        st.sampled_from(["control.a", "control.b", "experiment.a", "p"]),
        st.integers(0, 1000).map(str),
        st.floats(0, 1e6, allow_nan=False).map(repr),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda parts: f"({parts[0]}) {parts[1]} ({parts[2]})"
        ),
        inner.map(lambda x: f"-({x})"),
        st.tuples(st.sampled_from(["abs", "floor", "ceil", "sqrt", "log", "exp", "round"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    ),
    max_leaves=8,
)
TRUTHS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        inner.map(lambda x: f"not ({x})"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]}) if ({p[1]}) else ({p[2]})"),
    ),
    max_leaves=3,
)


class Columns:
    """A row for Python's own eval."""

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = a, b


def in_python(text: str, names: dict[str, Any]) -> bool | None:
    """The same text as Python says it, in floats; None if Python raises or leaves the finite numbers."""
    floats = re.sub(r"(?<![\w.])(?<![eE][+-])(\d+)(?![\w.])", r"\1.0", text)
    functions = {name: lambda *x, f=function.compute: float(f(*x)) for name, function in FUNCTIONS.items()}
    try:
        return bool(eval(floats, {"__builtins__": {}, **functions}, names))  # noqa: S307 - made above
    except (ArithmeticError, ValueError, TypeError):
        return None


@settings(max_examples=400, deadline=None)
@given(TRUTHS, FLOATS, FLOATS, FLOATS, FLOATS)
def test_it_agrees_with_python(text: str, a: float, b: float, c: float, p: float) -> None:
    text = f"({text}) and control.a == control.a"
    try:
        read = Formula(text, ("p",))
    except SpecError as error:
        assert "too long" in str(error) or "longer" in str(error) or "too deeply" in str(error)  # noqa: PT017
        return
    rows = {"control": {"a": a, "b": b}, "experiment": {"a": c, "b": 0.0}}
    expected = in_python(text, {"control": Columns(a, b), "experiment": Columns(c, 0.0), "p": p})
    try:
        found = read.holds(rows, {"p": p})
    except CannotTell as error:
        # Python goes on with infinity where we say so.
        assert expected is None or "too large" in str(error) or "has no value" in str(error)  # noqa: PT017
    else:
        assert found is expected


@settings(max_examples=100, deadline=None)
@given(TRUTHS, FLOATS, FLOATS, FLOATS, FLOATS)
def test_the_formula_with_its_values_says_the_same(text: str, a: float, b: float, c: float, p: float) -> None:
    rows = {"control": {"a": a, "b": b}, "experiment": {"a": c, "b": 0.0}}
    try:
        read = Formula(text, ("p",))
        found = read.holds(rows, {"p": p})
    except (CannotTell, SpecError):
        return
    assert in_python(read.with_values(rows, {"p": p}), {}) is found
