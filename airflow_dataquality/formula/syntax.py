"""The syntax of formulas: what is on the list, and where in the text it stands.

Each token is looked at before Jinja2 parses them, and each node of its syntax tree after.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import TemplateSyntaxError, nodes
from jinja2.parser import Parser

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.formula.sandbox import FUNCTIONS, SANDBOX, CannotTell, number

SCOPES = ("control", "experiment")
"""What a formula calls the rows of the two queries."""

WORDS = ("and", "else", "false", "if", "not", "or", "true")
LONGEST = 1000
MOST_TOKENS = 250
PARENTHESES = 20
DEEPEST = 50
"""How long a formula may be, and how deep its parentheses and its syntax tree, which Jinja2 reads recursively."""

# https://jinja.palletsprojects.com/en/stable/templates/#expressions, but for all that is not arithmetic.
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<operator>\*\*|//|[<>=!]=|[-+*/%<>(),.])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_TEMPLATE = re.compile(r"\{[{%#]|[%#}]\}")


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    is_name: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@dataclass(frozen=True)
class Place:
    """Where in the text a value stands: a column of a scope, or a parameter."""

    start: int
    end: int
    name: str
    scope: str | None = None


def read(text: str, params: tuple[str, ...]) -> tuple[str, tuple[Place, ...]]:
    """Read a formula, refusing all that is not on the list.

    :returns: the formula as Jinja2 is to compile it, and where values stand in the text
    :raises SpecError: naming the place
    """
    if not text.strip():
        raise SpecError(f"formula {text!r} at column 1: nothing to compute", hint="write control.n <= experiment.n")
    if len(text) > LONGEST:
        _refuse(text, LONGEST, f"longer than {LONGEST} characters", "compute more of it in the SQL")
    tokens = _tokens(text)
    places = _places(text, tokens, params)
    # A token a line: Jinja2's nodes and errors know their line, which so is their place.
    source = "\n".join(token.text for token in tokens)
    tree = _Tree(text, tokens, params)
    tree.check(tree.parse(source))
    if not any(place.scope for place in places):
        _refuse(text, 0, "it compares nothing: no control.… and no experiment.…", "name a column of the queries")
    return source, places


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        if match["space"]:
            continue
        if match["other"]:
            _refuse_character(text, match.start())
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth > PARENTHESES or len(tokens) == MOST_TOKENS:
            _refuse(text, match.start(), "too long or too deeply nested", "compute more of it in the SQL")
        tokens.append(_Token(match.group(), match.start(), bool(match["name"])))
    return tokens


def _refuse_character(text: str, start: int) -> NoReturn:
    hint = "a formula has numbers, control.…, experiment.…, + - * / // % **, comparisons, and, or, not, if, else"
    if _TEMPLATE.match(text, start):
        hint = "a formula is no template: name a number there, and give it in formula_params"
    elif text[start] == "=":
        hint = "compare with =="
    elif text[start] in "'\"":
        hint = "a formula computes with numbers: compare texts in the SQL"
    _refuse(text, start, f"the character {text[start]!r} is not part of formulas", hint)


def _places(text: str, tokens: list[_Token], params: tuple[str, ...]) -> tuple[Place, ...]:
    """Where values stand; refusing every name that is unknown."""
    places, index = [], 0
    while index < len(tokens):
        token = tokens[index]
        following = [t.text for t in tokens[index + 1 : index + 3]]
        if token.text in SCOPES:
            if following[:1] != ["."] or len(following) == 1 or not tokens[index + 2].is_name:
                _refuse(text, token.start, f"{token.text} without a column", f"write {token.text}.avg")
            column = tokens[index + 2]
            if column.text.startswith("_"):
                _refuse(text, column.start, "a column begins with a letter", "name it with AS in the SQL")
            places.append(Place(token.start, column.end, column.text, token.text))
            index += 2
        elif token.text == ".":
            hint = "a dot stands between control or experiment and a column"
            _refuse(text, token.start, "nothing of this has parts", hint)
        elif token.is_name:
            places += _named(text, token, following, params)
        index += 1
    return tuple(places)


def _named(text: str, token: _Token, following: list[str], params: tuple[str, ...]) -> list[Place]:
    if token.text in params:
        return [Place(token.start, token.end, token.text)]
    if token.text in FUNCTIONS and following[:1] != ["("]:
        _refuse(text, token.start, f"{token.text} is a function", f"call it: {token.text}(…)")
    if token.text not in FUNCTIONS and token.text not in WORDS:
        hint = did_you_mean(token.text, {*SCOPES, *params, *FUNCTIONS, *WORDS}, label="Names")
        _refuse(text, token.start, f"unknown name {token.text!r}", hint)
    return []


_ARITHMETIC: tuple[type[nodes.Node], ...] = (
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.Neg,
    nodes.Pos,
)
_NUMBER, _TRUTH = "a number", "true or false"


class _Tree:
    """The syntax tree of a formula, of which every node is on the list, and in its place a number or a truth."""

    def __init__(self, text: str, tokens: list[_Token], params: tuple[str, ...]) -> None:
        self.text = text
        self.tokens = tokens
        self.params = params

    def parse(self, source: str) -> nodes.Expr:
        hint = "write a comparison: control.n <= experiment.n"
        try:
            parser = Parser(SANDBOX, source, state="variable")
            tree = parser.parse_expression()
        except TemplateSyntaxError as error:
            problem = re.sub("'?end of template'?", "the end of the formula", str(error.message))
            self.refuse(error.lineno, problem.rstrip("."), hint)
        if not parser.stream.eos:
            self.refuse(parser.stream.current.lineno, "the formula goes on after its end", hint)
        return tree

    def refuse(self, line: int, problem: str, hint: str) -> NoReturn:
        index = min(line, len(self.tokens)) - 1
        token = self.tokens[index - 1 if self.tokens[index].text == "." else index]
        _refuse(self.text, token.start, problem, hint)

    def check(self, tree: nodes.Expr) -> None:
        """Refuse what is not on the list.

        :raises SpecError: naming the place
        """
        self.want(_TRUTH, tree, 0)

    def want(self, wanted: str, node: nodes.Node | None, depth: int) -> None:
        if node is None:
            self.refuse(len(self.tokens), "an if without else", "write what holds otherwise")
        if depth > DEEPEST:
            self.refuse(node.lineno, "too deeply nested", "compute more of it in the SQL")
        found = self.kind(node, depth + 1)
        if found != wanted:
            hint = "compare it: … <= 3" if wanted == _TRUTH else "use if and else: 1 if control.n > 0 else 0"
            self.refuse(node.lineno, f"this is {found}, where {wanted} is needed", hint)

    def kind(self, node: nodes.Node, depth: int) -> str:
        """What the node is: a number or a truth."""
        check = _CHECKS.get(type(node))
        if check is None:
            name = type(node).__name__.lower()
            self.refuse(node.lineno, f"a {name} is not part of formulas", "compute it in the SQL")
        return check(self, node, depth)

    def constant(self, node: nodes.Const, depth: int) -> str:
        if isinstance(node.value, bool):
            return _TRUTH
        try:
            number(node.value, "this")
        except CannotTell as error:
            self.refuse(node.lineno, str(error), "write a smaller number")
        return _NUMBER

    def parameter(self, node: nodes.Name, depth: int) -> str:
        if node.name not in self.params:  # `else` where Jinja2 expects a name is one to it
            self.refuse(node.lineno, f"{node.name!r} does not belong here", "write a number, or a column")
        return _NUMBER

    def column(self, node: nodes.Getattr, depth: int) -> str:
        if not isinstance(node.node, nodes.Name) or node.node.name not in SCOPES:
            self.refuse(node.lineno, "nothing of this has parts", "write control.avg")
        return _NUMBER

    def call(self, node: nodes.Call, depth: int) -> str:
        if not isinstance(node.node, nodes.Name) or node.node.name not in FUNCTIONS:
            self.refuse(node.lineno, "this is no function", did_you_mean("", FUNCTIONS, label="Functions"))
        if node.kwargs or node.dyn_args or node.dyn_kwargs:
            self.refuse(node.lineno, "arguments have no names", f"write {node.node.name}(a, b)")
        function = FUNCTIONS[node.node.name]
        if not function.least <= len(node.args) <= function.most:
            takes = f"{function.least} to {function.most}" if function.most > function.least else f"{function.most}"
            self.refuse(node.lineno, f"{node.node.name} takes {takes} arguments, not {len(node.args)}", function.doc)
        for argument in node.args:
            self.want(_NUMBER, argument, depth)
        return _NUMBER

    def arithmetic(self, node: nodes.BinExpr | nodes.UnaryExpr, depth: int) -> str:
        if isinstance(node, nodes.Pow):
            self.power(node)
        for part in node.iter_child_nodes():
            self.want(_NUMBER, part, depth)
        return _NUMBER

    def power(self, node: nodes.Pow) -> None:
        """Refuse `a ** b ** c` and `-a ** b`, which Jinja2 reads otherwise than Python does."""
        sign = isinstance(node.left, nodes.Neg | nodes.Pos) and node.left.lineno == node.lineno
        if sign or self.tokens[node.lineno - 1].text == "**":
            self.refuse(node.lineno, "this can be read in two ways", "write parentheses: (a ** b) ** c, -(a ** b)")

    def comparison(self, node: nodes.Compare, depth: int) -> str:
        for part in (node.expr, *(operand.expr for operand in node.ops)):
            if depth > DEEPEST:
                self.refuse(node.lineno, "too deeply nested", "compute more of it in the SQL")
            self.kind(part, depth + 1)
        return _TRUTH

    def logic(self, node: nodes.And | nodes.Or | nodes.Not, depth: int) -> str:
        for part in node.iter_child_nodes():
            self.want(_TRUTH, part, depth)
        return _TRUTH

    def condition(self, node: nodes.CondExpr, depth: int) -> str:
        self.want(_TRUTH, node.test, depth)
        found = self.kind(node.expr1, depth + 1)
        self.want(found, node.expr2, depth)
        return found


_CHECKS: dict[type[nodes.Node], Callable[[_Tree, Any, int], str]] = {
    nodes.Const: _Tree.constant,
    nodes.Name: _Tree.parameter,
    nodes.Getattr: _Tree.column,
    nodes.Call: _Tree.call,
    **dict.fromkeys(_ARITHMETIC, _Tree.arithmetic),
    nodes.Compare: _Tree.comparison,
    **dict.fromkeys((nodes.And, nodes.Or, nodes.Not), _Tree.logic),
    nodes.CondExpr: _Tree.condition,
}


def _refuse(text: str, start: int, problem: str, hint: str) -> NoReturn:
    """Refuse the formula, showing the place in it."""
    line = text.count("\n", 0, start)
    begin = text.rfind("\n", 0, start) + 1
    shown = "".join(c if c.isprintable() else "�" for c in text[begin:].partition("\n")[0])
    column = start - begin
    first = max(0, column - 60)
    place = f"line {line + 1}, column {column + 1}" if "\n" in text.strip() else f"column {column + 1}"
    excerpt = f"  {shown[first : first + 110]}\n  {' ' * (column - first)}^"
    raise SpecError(f"formula at {place}: {problem}\n{excerpt}", hint=hint)
