"""The SELECTs of a summary: today's is yesterday's, a day older, merged with today's facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality import measures
from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.facts import Facts
from airflow_dataquality.dialects.summary import Typed
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.measures import Measure

MOST_COLUMNS = 1600  # https://www.postgresql.org/docs/current/limits.html, and Redshift has the same


@dataclass(frozen=True)
class Definition:
    """What a summary holds of each subject.

    :param keys: the columns that are the subject, by their exact names
    :param partition_column: the column that says of which partition a row is
    :param measures: names and measures, in order
    """

    keys: tuple[str, ...]
    partition_column: str
    measures: tuple[tuple[str, Measure], ...]

    @property
    def columns(self) -> list[str]:
        """The summary's columns: keys, partition column, what a reader sees, states."""
        return [*self.keys, self.partition_column, *(name for name, _ in self.measures), *self.hidden]

    @property
    def hidden(self) -> list[str]:
        """The columns of states that are not seen as they are."""
        return [column for name, measure in self.measures if not measure.plain for column in columns_of(name, measure)]

    @property
    def window(self) -> int:
        """How many periods a state looks back, the row's own included; 0 if none does."""
        return max((measure.window for _, measure in self.measures), default=0)

    def check(self, limit: int = 63, *, fold: Callable[[str], str] = str) -> None:
        """Refuse what cannot be a table, or not one that says what it holds.

        :param limit: bytes that a name may have
        :param fold: which names are one to the database
        :raises SpecError: which name is wrong, and why
        """
        _check_words(self)
        owners: dict[str, str] = {}
        for column, owner in _owned(self):
            if (other := owners.get(fold(column))) is not None:
                raise SpecError(f"{owner} and {other} are both called {column!r}", hint="give the measure another name")
            owners[fold(column)] = owner
            if len(column.encode()) > limit:
                raise SpecError(
                    f"{owner} would be called {column!r}, in {len(column.encode())} bytes",
                    hint=f"a name has at most {limit} bytes: give the measure a shorter one",
                )
        if len(owners) > MOST_COLUMNS:
            raise SpecError(
                f"the summary would have {len(owners):,} columns", hint=f"{MOST_COLUMNS:,} are possible: fewer days"
            )

    def as_dict(self) -> dict[str, Any]:
        """The definition as it is recorded and compared.

        >>> from airflow_dataquality.measures import Sum
        >>> Definition(("tailnum",), "ds", (("n", Sum("1")),)).as_dict()
        {'keys': ['tailnum'], 'partition_column': 'ds', 'measures': {'n': "Sum('1')"}}
        """
        said = {name: repr(measure) for name, measure in self.measures}
        return {"keys": list(self.keys), "partition_column": self.partition_column, "measures": said}

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What is different from a definition that was recorded, in words.

        >>> from airflow_dataquality.measures import Sum
        >>> Definition(("tailnum",), "ds", (("n", Sum("1")),)).differences(
        ...     {"keys": ["tailnum"], "partition_column": "ds", "measures": {"n": "Count()"}})
        ["n: was Count(), is Sum('1')"]
        """
        mine = self.as_dict()
        found = [
            f"{word}: was {other.get(word)!r}, is {mine[word]!r}"
            for word in ("keys", "partition_column")
            if mine[word] != other.get(word)
        ]
        was, now = other.get("measures", {}), mine["measures"]
        found += [f"{name}: is new" for name in now if name not in was]
        found += [f"{name}: is gone" for name in was if name not in now]
        return found + [
            f"{name}: was {was[name]}, is {now[name]}" for name in now if was.get(name, now[name]) != now[name]
        ]


def compute(
    sql: Dialect, d: Definition, facts: str, value: str, types: Mapping[str, str], *,
    ages: Mapping[Any, int] | None = None, shard: str | None = None,
) -> str:  # fmt: skip
    """The summary of facts alone.

    :param facts: a table expression: a quoted table, or a SELECT in parentheses
    :param value: the partition's value, as SQL of its type
    :param types: of the partition column, and of the keys as far as they are known
    :param ages: None if all facts are of that partition; else the values of the partitions that a window may look back
        to, the row's own included, and how many periods before it each is
    :param shard: a predicate that narrows the subjects
    """
    here = Typed(value, types[d.partition_column])
    states, _ = _states(sql, d, facts, here, ages=ages, shard=shard, typed=True)
    return _finished(sql, d, sql.nested(states), here)


def step(
    sql: Dialect, d: Definition, previous: str, facts: str, value: str, types: Mapping[str, str], *,
    shard: str | None = None,
) -> str:  # fmt: skip
    """The summary of a partition: the one before it, a period older, merged with the partition's facts.

    :param previous: a table expression of the previous partition's rows
    :param facts: as of :func:`compute`
    :param value: as of :func:`compute`
    :param types: of the keys and the partition column
    """
    here = Typed(value, types[d.partition_column])
    today, known = _states(sql, d, facts, here, ages=None, shard=shard, typed=False)
    merged: dict[str, str] = {}
    for name, measure in d.measures:
        older = measure.aged(sql, _read(sql, name, measure, "a"), 1)
        newer = {state: value for state, value in _read(sql, name, measure, "b").items() if value in known}
        merged |= _columns(name, measure, measure.merged(sql, older, newer))
    return _paired(sql, d, _kept(sql, d, previous, shard), today, merged, here, types)


def merge(sql: Dialect, d: Definition, one: str, other: str, value: str, types: Mapping[str, str]) -> str:
    """The summary of a partition from two of it, each of some of the facts; no fact is in both.

    :param one: a table expression of a summary's rows
    :param other: likewise
    """
    merged: dict[str, str] = {}
    for name, measure in d.measures:
        a, b = (_read(sql, name, measure, alias) for alias in "ab")
        merged |= _columns(name, measure, measure.merged(sql, a, b))
    here = Typed(value, types[d.partition_column])
    return _paired(sql, d, _kept(sql, d, one), _kept(sql, d, other), merged, here, types)


def columns_of(name: str, measure: Measure) -> list[str]:
    """The columns of a measure's states.

    >>> from airflow_dataquality.measures import Mean, Sum
    >>> columns_of("n", Sum("1")), columns_of("delay", Mean("dep_delay"))
    (['n'], ['delay__sum', 'delay__count'])
    """
    return [column for _, column in _named(name, measure)]


def _named(name: str, measure: Measure) -> list[tuple[str, str]]:
    plain = measure.plain
    return [(state, name if plain else f"{name}__{state}") for state in measure.states()]


def _columns(name: str, measure: Measure, states: Mapping[str, str]) -> dict[str, str]:
    """States by the names of their columns."""
    return {column: states[state] for state, column in _named(name, measure) if state in states}


def _read(sql: Dialect, name: str, measure: Measure, alias: str = "") -> dict[str, str]:
    """States by their names: the columns of a row."""
    return {state: sql.identifiers([column], of=alias) for state, column in _named(name, measure)}


def _kept(sql: Dialect, d: Definition, summary: str, shard: str | None = None) -> str:
    """The states of a summary's rows."""
    states = (column for name, measure in d.measures for column in columns_of(name, measure))
    return sql.summary_rows(_same(sql, [*d.keys, *states]), summary, "p", where=shard)


def _same(sql: Dialect, columns: Iterable[str]) -> dict[str, str]:
    return {column: sql.identifier(column) for column in columns}


def _states(
    sql: Dialect, d: Definition, source: str, here: Typed, *, ages: Mapping[Any, int] | None, shard: str | None,
    typed: bool,
) -> tuple[str, set[str]]:  # fmt: skip
    """The states of each subject that has facts, and which there are, as columns of ``b``.

    :param typed: also those that no fact can have
    """
    column = sql.identifier(d.partition_column)
    partition = here.sql if ages is None else column
    facts = Facts(sql, d.keys, partition, ages, typed=typed, taken=[*d.keys, d.partition_column])
    aggregates: dict[str, str] = {}
    for name, measure in d.measures:
        aggregates |= _columns(name, measure, measure.compute(sql, facts))
    moved = {} if ages is None else {d.partition_column: sql.as_type(column, here.type)}
    each = sql.summary_rows({**_same(sql, d.keys), **moved, **facts.columns}, source, "f", where=shard)
    states = sql.summary_rows({**_same(sql, d.keys), **aggregates}, sql.nested(each), "f", group_by=d.keys)
    return states, {sql.identifiers([name], of="b") for name in aggregates}


def _paired(
    sql: Dialect, d: Definition, left: str, right: str, merged: Mapping[str, str], here: Typed,
    types: Mapping[str, str],
) -> str:  # fmt: skip
    pairs = sql.paired(sql.nested(left), sql.nested(right), {key: types[key] for key in d.keys})
    keys = {key: sql.known(*(sql.identifiers([key], of=alias) for alias in "ab")) for key in d.keys}
    return _finished(sql, d, sql.nested(sql.summary_rows({**keys, **merged}, pairs)), here)


def _finished(sql: Dialect, d: Definition, states: str, here: Typed) -> str:
    """What a reader sees beside the states, each of which is computed once, below."""
    columns = {**_same(sql, d.keys), d.partition_column: here.sql}
    for name, measure in d.measures:
        known = _read(sql, name, measure)
        columns[name] = sql.identifier(name) if measure.plain else measure.finish(sql, known, here)
    return sql.summary_rows({**columns, **_same(sql, d.hidden)}, states, "s")


def _owned(d: Definition) -> Iterator[tuple[str, str]]:
    """Each column, and whose it is."""
    for key in d.keys:
        yield key, "a key"
    yield d.partition_column, "the partition column"
    for name, measure in d.measures:
        yield name, f"the measure {name}"
        if not measure.plain:
            yield from ((column, f"a state of the measure {name}") for column in columns_of(name, measure))


def _check_words(d: Definition) -> None:
    if isinstance(d.keys, str):
        raise SpecError(f"{d.keys!r} is no list of keys", hint=f"write keys=[{d.keys!r}]")
    if not d.keys:
        raise SpecError("the summary has no keys", hint="name the columns that are the subject: keys=['tailnum']")
    if not d.measures:
        raise SpecError("the summary has no measures", hint="say what is measured: measures={'flights': Count()}")
    _check_names([*d.keys, d.partition_column, *(name for name, _ in d.measures)])
    for name, measure in d.measures:
        if isinstance(measure, Measure):
            continue
        word = measure.__name__ if isinstance(measure, type) else str(measure).partition("(")[0]
        raise SpecError(
            f"{name}: {measure!r} is no measure", hint=did_you_mean(word, measures.__all__, label="Measures")
        )


def _check_names(names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or "\x00" in name:
            raise SpecError(
                f"{name!r} cannot be a name", hint="names are text, with at least one character, and no NUL"
            )
