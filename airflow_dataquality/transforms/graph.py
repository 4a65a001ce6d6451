"""A project: pipelines of transforms, what each reads of which other, and which of them are selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.lint import Finding
from airflow_dataquality.model import Table
from airflow_dataquality.transforms import selection
from airflow_dataquality.transforms.lineage import Facts
from airflow_dataquality.transforms.model import Pipeline, Transform


@dataclass(frozen=True)
class Project:
    """A folder of pipelines, as far as it can be used.

    :param folder: where it was read
    :param pipelines: by name; those with mistakes, too
    :param facts: of each transform's SQL, by the transform's name; without those that have none
    :param dialect: of the SQL
    """

    folder: Path
    pipelines: Mapping[str, Pipeline]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    dialect: str = "postgres"

    @cached_property
    def transforms(self) -> Mapping[str, Transform]:
        """All transforms whose headers can be used, by name."""
        return {each.name: each for pipeline in self.pipelines.values() for each in pipeline.transforms}

    @property
    def mistakes(self) -> tuple[Finding, ...]:
        """The mistakes of all pipelines: each has a file, a line, a message and a hint."""
        return tuple(mistake for pipeline in self.pipelines.values() for mistake in pipeline.mistakes)

    @cached_property
    def _producers(self) -> Mapping[Table, Transform]:
        made: dict[Table, Transform] = {}
        for each in self.transforms.values():
            if each.writes is not None:
                made.setdefault(each.writes, each)
        return made

    def transform(self, name: str) -> Transform:
        """A transform by its name: ``flights.daily_flights``, or ``daily_flights`` if one pipeline alone has such.

        :raises SpecError: with candidates, if there is none, or several
        """
        found = self.transforms.get(name) or self.transforms.get(_bare(name))
        if found is not None:
            return found
        same = [each for each in self.transforms.values() if each.short_name == _bare(name)]
        if len(same) == 1:
            return same[0]
        if same:
            hint = f"write one of {', '.join(each.name for each in same)}"
            raise SpecError(f"there are several transforms {name!r}", hint=hint)
        whole = "." in _bare(name)
        names = self.transforms if whole else {each.short_name for each in self.transforms.values()}
        near = did_you_mean(_bare(name), names, label="Transforms")
        raise SpecError(f"there is no transform {name!r}", hint=near if len(near) < 400 else f"{near[:400]} …")  # noqa: PLR2004

    def producer(self, table: Table | str) -> Transform | None:
        """The transform that makes a table; None if none does."""
        if isinstance(table, str):
            return self._by_name[table] if table in self._by_name else self._producers.get(Table.parse(table))
        return self._producers.get(table)

    def partition(self, table: Table | str) -> Mapping[str, Any]:
        """The partition of a table that a run makes, as its header writes it; empty if it makes all of it."""
        made = self.producer(table)
        return made.output.partition if made is not None and made.output is not None else {}

    @cached_property
    def _by_name(self) -> Mapping[str, Transform]:
        return {str(table): each for table, each in self._producers.items()}

    @cached_property
    def _above(self) -> Mapping[str, tuple[Transform, ...]]:
        return {
            name: tuple(
                dict.fromkeys(
                    made for table in each.reads if (made := self.producer(table)) is not None and made is not each
                )
            )
            for name, each in self.transforms.items()
        }

    @cached_property
    def _below(self) -> Mapping[str, tuple[Transform, ...]]:
        below: dict[str, list[Transform]] = {name: [] for name in self.transforms}
        for name, above in self._above.items():
            for each in above:
                below[each.name].append(self.transforms[name])
        return {name: tuple(each) for name, each in below.items()}

    def upstream(self, of: Transform) -> tuple[Transform, ...]:
        """The transforms whose tables it reads, in all pipelines."""
        return self._above[of.name]

    def downstream(self, of: Transform) -> tuple[Transform, ...]:
        """The transforms that read its table, in all pipelines."""
        return self._below[of.name]

    def order(self, of: Iterable[Transform] | None = None) -> list[Transform]:
        """Transforms, each after those that it reads; else by name.

        :param of: these alone; None orders all
        :raises SpecError: for a cycle, naming it
        """
        wanted = set(self.transforms) if of is None else {each.name for each in of}
        cycles = self.cycles
        if cycles and any(each.name in wanted for each in cycles[0]):
            names = " → ".join(each.name for each in (*cycles[0], cycles[0][0]))
            raise SpecError(f"a cycle: {names}", hint="have one of them read something else")
        return [each for each in self._sorted if each.name in wanted]

    @cached_property
    def _sorted(self) -> list[Transform]:
        done: dict[str, Transform] = {}

        def visit(each: Transform) -> None:
            stack = [(each, iter(sorted(self._above[each.name], key=str)))]
            open_now = {each.name}
            while stack:
                current, above = stack[-1]
                following = next((up for up in above if up.name not in done and up.name not in open_now), None)
                if following is None:
                    stack.pop()
                    done[current.name] = current
                else:
                    open_now.add(following.name)
                    stack.append((following, iter(sorted(self._above[following.name], key=str))))

        for name in sorted(self.transforms):
            if name not in done:
                visit(self.transforms[name])
        return list(done.values())

    @cached_property
    def cycles(self) -> Sequence[tuple[Transform, ...]]:
        """Transforms that read each other in a circle, each circle once."""
        return selection.cycles(self.transforms, self._above)

    def select(
        self, *selectors: str, pipeline: str | None = None, start: str | None = None, end: str | None = None,
        tags: Sequence[str] = (),
    ) -> list[Transform]:  # fmt: skip
        """Transforms, in their order: those that any selector names, and that everything else allows.

        :param selectors: ``name``, ``pipeline``, ``pipeline.*``, ``tag:nightly``, ``owner:planning``, ``kind:load``,
            each with ``+`` before it (and all that it needs), behind it (and all that needs it), or both, and a number
            for so many steps: ``2+name``; several with commas between: those that all of them name
        :param pipeline: of this one alone
        :param start: and what comes after it, up to ``end``
        :param end: and what comes before it, from ``start`` on
        :param tags: with one of these
        :raises SpecError: with candidates, if one names nothing
        """
        return selection.select(self, selectors, pipeline=pipeline, start=start, end=end, tags=tags)

    def columns(self, table: Table | str, _seen: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
        """The columns of a table, as far as the SQL of its transform, and of those before it, tells; None if not."""
        known = str(table)
        if known not in self._columns:
            found = self._found(table, _seen)
            if _seen:  # inside a cycle, perhaps: what is found there is not what would be found outside
                return found
            self._columns[known] = found
        return self._columns[known]

    @cached_property
    def _columns(self) -> dict[str, tuple[str, ...] | None]:
        return {}

    def _found(self, table: Table | str, _seen: frozenset[str]) -> tuple[str, ...] | None:
        made = self.producer(table)
        if made is None or made.name in _seen:
            return None
        facts = self.facts.get(made.name)
        if made.kind not in ("create_table_as", "upsert") or facts is None or facts.columns is None:
            return self._declared(made)
        found: list[str] = []
        for column in facts.columns:
            if not column.endswith(".*"):
                found.append(column)
                continue
            inner = self.columns(column.removesuffix(".*"), _seen | {made.name})
            if inner is None:
                return self._declared(made)
            found += inner
        return tuple(found)

    @staticmethod
    def _declared(made: Transform) -> tuple[str, ...] | None:
        """The columns in a header, if each has a type, so that it means to name all of them."""
        return tuple(made.output.types) or None if made.output else None


def _bare(name: str) -> str:
    return name.removesuffix(".sql").removesuffix(".yaml").replace("/", ".")
