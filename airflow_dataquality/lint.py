"""Read rule sets without a database: every mistake in them, where it is, and what is suspicious."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check
from airflow_dataquality.spec import RULE, SUFFIXES, load_yaml, rule_of
from airflow_dataquality.suspicions import Suspicion, of_pair, suspicions

ERROR, WARNING = "error", "warning"
SET = ("name", "rules", "description")
"""Keys of a rule set."""

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """Something in a file that somebody should look at.

    :param line: from 1
    :param column: from 1
    :param path: of what it is about, inside the file: ``rules[2].condition.equal_to``
    :param rule: the rule's name, if it has one
    :param code: what kind of finding it is; stable, for tools
    :param severity: ``error``: the file cannot be used; or ``warning``
    """

    file: str
    line: int
    column: int
    path: str
    rule: str | None
    code: str
    severity: str
    message: str
    hint: str | None

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)

    def __str__(self) -> str:
        named = f"{self.path} ({self.rule}): " if self.rule else f"{self.path}: " if self.path else ""
        hint = f"\n    Hint: {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {named}{self.message} [{self.code}]{hint}"


def lint(path: str) -> list[Finding]:
    """What is wrong with a rule set, or suspicious in it, in the order of the file.

    :raises SpecError: if there is no such file, or its name is none of a rule set
    """
    file = Path(path)
    if not path.endswith(SUFFIXES):
        raise SpecError(f"{path!r} is not a rule set file", hint=f"its name should end in {', '.join(SUFFIXES)}")
    if not file.is_file():
        raise SpecError(f"rule set {path!r} does not exist", hint=f"looked at {file.absolute()}")
    try:
        data = load_yaml(file)
    except SpecError as error:
        return [_unreadable(path, error)]
    nodes = _composed(file.read_text(encoding="utf-8"))
    return sorted(_Linter(path, nodes).findings(data), key=lambda found: (found.line, found.column))


def lint_within(file: str, text: str, key: str, rules: Sequence[Any]) -> list[Finding]:
    """What is wrong with rules that stand under a key of another file.

    :param text: of the file
    :param rules: what stands there
    """
    import yaml

    root = _composed(text)
    node = next((value for name, value in root.value if name.value == key), None)
    nodes = yaml.MappingNode("", [(yaml.ScalarNode("", "rules"), node)])
    found = _Linter(file, nodes).findings({"rules": rules})
    return [replace(each, path=each.path.replace("rules", key, 1)) for each in found]


def place_of(text: str, path: Steps) -> tuple[int, int, str]:
    """Line, column and name of a place in a text of YAML, or of the last part of its path that is there.

    >>> place_of("output: {table: a, partition: ds}", ("output", "partition"))
    (1, 20, 'output.partition')
    """
    line, column = _place(_composed(text), path)
    return line, column, _written(path)


def _unreadable(path: str, error: SpecError) -> Finding:
    mark = getattr(error.__cause__, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(error.__cause__, "problem", None) or str(error.__cause__)
    return Finding(path, line, column, "", None, "yaml", ERROR, f"not valid YAML: {problem}", error.hint)


def _composed(text: str) -> Any:
    """The nodes of a text of YAML, which know their places."""
    import yaml

    from airflow_dataquality._yaml import UniqueKeyLoader

    return yaml.compose(text, Loader=UniqueKeyLoader)


class _Linter:
    """One file."""

    def __init__(self, file: str, nodes: Any) -> None:
        self.file, self.nodes = file, nodes

    def findings(self, data: Any) -> Iterator[Finding]:
        if not isinstance(data, Mapping) or "rules" not in data:
            hint = "a rule set is {name: …, rules: [{check: …}, …]}"
            yield self._found((), "rule-set", ERROR, "no `rules` at the top", hint)
            return
        for key in data:
            if key not in SET:
                known = f"known: {', '.join(SET)}"
                yield self._found((key,), "rule-set", ERROR, f"unknown rule set key {key!r}", known)
        rules = data["rules"]
        if not isinstance(rules, Sequence) or isinstance(rules, str):
            yield self._found(("rules",), "rule-set", ERROR, "`rules` is not a list", "write one `- check: …` for each")
            return
        if not rules:
            yield self._found(("rules",), "no-rules", WARNING, "no rules: nothing is checked", "write one `- check: …`")
        checks: dict[int, Check] = {}
        for number, rule in enumerate(rules):
            try:
                checks[number] = rule_of(rule, "")
            except SpecError as error:
                yield self._mistake(number, rule, error)
                continue
            yield from (self._suspicious(number, rule, found) for found in suspicions(checks[number], rule))
        yield from self._together(rules, checks)

    def _together(self, rules: Sequence[Any], checks: Mapping[int, Check]) -> Iterator[Finding]:
        """What is wrong with rules beside others."""
        named: dict[str, int] = {}
        for number, check in checks.items():
            if check.named and check.name in named:
                first = self._found(("rules", named[check.name]), "", "", "", None)
                yield self._found(
                    ("rules", number, "name"), "duplicate-name", ERROR,
                    f"two rules are named {check.name!r}; the other is in line {first.line}",
                    "a check's history belongs to its name: give each its own", rules[number],
                )  # fmt: skip
            named.setdefault(check.name, number)
        done = list(checks.items())
        for index, (number, check) in enumerate(done):
            for earlier, other in done[:index]:
                if found := of_pair(check, other, earlier):
                    yield self._suspicious(number, rules[number], found)
                    break

    def _mistake(self, number: int, rule: Any, error: SpecError) -> Finding:
        name = rule.get("name") if isinstance(rule, Mapping) else None
        message = error.message.removeprefix(f" ({name})" if name else "").removeprefix(": ")
        path: Steps = ("rules", number, *_blamed(rule, message))
        return self._found(path, "rule", ERROR, message, error.hint, rule)

    def _suspicious(self, number: int, rule: Any, found: Suspicion) -> Finding:
        return self._found(("rules", number, *found.path), found.code, WARNING, found.message, found.hint, rule)

    def _found(
        self, path: Steps, code: str, severity: str, message: str, hint: str | None, rule: Any = None
    ) -> Finding:
        name = rule.get("name") if isinstance(rule, Mapping) else None
        line, column = _place(self.nodes, path)
        known = str(name) if name is not None else None
        return Finding(self.file, line, column, _written(path), known, code, severity, message, hint)


def _blamed(rule: Any, message: str) -> Steps:
    """The key of the rule that a message is about."""
    if not isinstance(rule, Mapping):
        return ()
    condition = rule.get("condition")
    inside = condition if isinstance(condition, Mapping) else {}
    for keys, prefix in ((inside, ("condition",)), (rule, ())):
        for key in keys:
            if repr(key) in message or message.startswith((f"{key} ", f"{key}: ")):
                return (*prefix, key)
    words = ("check", *(key for key in RULE if key in message))
    return next(((key,) for key in reversed(words) if key in rule and key in message), ())


def _place(node: Any, path: Steps) -> tuple[int, int]:
    """The line and the column of what the path leads to, or of the last part of it that is there."""
    found = node
    for part in path:
        if node is None or isinstance(node.value, str):
            break
        if isinstance(part, int):
            if not isinstance(node.value, list) or part >= len(node.value):
                break
            node = found = node.value[part]
        else:
            pair = next((pair for pair in node.value if getattr(pair[0], "value", None) == str(part)), None)
            if pair is None:
                break
            found, node = pair
    if found is None:
        return 1, 1
    return found.start_mark.line + 1, found.start_mark.column + 1


def _written(path: Steps) -> str:
    """A path for people.

    >>> _written(("rules", 2, "condition", "equal_to"))
    'rules[2].condition.equal_to'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
