"""Summaries in tables that the user made, with names of every kind; measures of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import DAYS, Lab

from airflow_dataquality.measures import Count, Mean, Measure, Rolling, State
from support import on

pytestmark = on("postgres", "redshift")


def made_by_hand(lab: Lab, but: str = "", more: str = "") -> None:
    """The table of the summary, its columns in the order of the alphabet."""
    lab.publish(DAYS[0])
    columns = lab.database.session.columns(lab.operator(DAYS[0]).load({}).table)
    listed = ", ".join(f"{c.name} {c.type}" for c in sorted(columns, key=lambda c: c.name) if c.name != but)
    lab.run("DROP TABLE s", "DELETE FROM dataquality.publication", f"CREATE TABLE s ({listed}{more})")


def test_a_table_with_another_order_of_columns(lab: Lab) -> None:
    made_by_hand(lab)
    lab.publish(*DAYS[:2])
    lab.publish(DAYS[5], on_gap="catch_up")
    assert lab.right(*DAYS[:6])


def test_a_table_that_lacks_a_column(lab: Lab) -> None:
    made_by_hand(lab, but="spot__on")
    with pytest.raises(AirflowException, match="spot__on"):
        lab.publish(DAYS[0])
    assert lab.rows() == []


@pytest.mark.parametrize("lacking", ["k", "ds"])
def test_a_table_that_lacks_what_tells_the_rows(lab: Lab, lacking: str) -> None:
    made_by_hand(lab, but=lacking)
    with pytest.raises(AirflowException, match=f"public.s has no column '{lacking}'\nHint: write the exact names; its"):
        lab.publish(DAYS[0])


def test_a_table_with_a_column_of_the_users(lab: Lab) -> None:
    made_by_hand(lab, more=", note VARCHAR(10)")
    with pytest.raises(AirflowException, match="missing from the SELECT: note"):
        lab.publish(DAYS[0])


@pytest.mark.parametrize("sql", [None, "SELECT * FROM facts WHERE ds = '{{ ds }}'"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"keys": ["tailnum"]},
            "the source has no column 'tailnum'\nHint: write the exact names; its columns: ds, k, ",
        ),
        (
            {"partition_column": "day"},
            "the source has no column 'day'\nHint: write the exact names; its columns: ds, k, ",
        ),
        ({"measures": {"n": Mean("mils")}}, "mils"),
        ({"measures": {"n": Mean("spot")}}, "sum|SUM|double"),
    ],
    ids=str,
)
def test_what_the_source_lacks(lab: Lab, arguments: dict[str, Any], sql: str | None, message: str) -> None:
    with pytest.raises(AirflowException, match=message):
        lab.publish(DAYS[0], **arguments, **({"sql": sql} if sql else {}))
    assert lab.beside() == []


def test_a_source_that_is_not_there(lab: Lab) -> None:
    with pytest.raises(AirflowException, match="nowhere"):
        lab.publish(DAYS[0], source="nowhere")


def test_names_that_need_quotes(lab: Lab) -> None:
    """Reserved words, blanks, quotes and other alphabets, of everything that has a name."""
    if lab.database.kind == "redshift":
        table, facts, key, column, name = '"größe s"', '"ord""er"', "sélect", "group", "n der tage"
    else:
        table, facts, key, column, name = '"Größe ""s"""', '"ord""er"', "Sélect ''\"", "group", 'n "der" Tage'
    quoted = lab.database.session.dialect.identifier
    lab.run(f"CREATE TABLE {facts} AS SELECT ds AS {quoted(column)}, k AS {quoted(key)}, miles FROM facts")
    arguments: dict[str, Any] = {
        "summary": table, "source": facts, "keys": [key], "partition_column": column,
        "measures": {name: Count(), "order": Mean("miles"), "user": Rolling(Count(), days=2)},
    }  # fmt: skip
    lab.publish(*DAYS[:3], **arguments)
    lab.publish(DAYS[5], on_gap="catch_up", **arguments)
    found = lab.run(f"SELECT {quoted(column)}, {quoted(key)}, {quoted(name)} FROM {table}")
    wanted = "SELECT CAST('{0}' AS DATE), k, count(*) FROM facts WHERE ds <= '{0}' GROUP BY k"
    assert found == lab.run(" UNION ALL ".join(wanted.format(day) for day in DAYS[:6]))


# -- a measure of the user's


@dataclass(frozen=True, repr=False)
class Spread(Measure):
    """The largest minus the smallest value."""

    of: str

    def states(self) -> Mapping[str, State]:
        return {"low": State("min", self.of), "high": State("max", self.of)}

    def finish(self, sql: Any, states: Mapping[str, str], partition: Any) -> str:
        return f"{states['high']} - {states['low']}"


def test_a_measure_of_the_users(lab: Lab) -> None:
    arguments: dict[str, Any] = {"measures": {"spread": Spread("miles"), "lately": Rolling(Spread("miles"), days=2)}}
    lab.publish(*DAYS[:3], **arguments)
    lab.publish(DAYS[6], on_gap="catch_up", **arguments)
    seen = "CAST('{0}' AS DATE), k, max(miles) - min(miles)"
    two = "CASE WHEN ds > CAST('{0}' AS DATE) - 2 THEN miles END"
    wanted = f"SELECT {seen}, max({two}) - min({two}) FROM facts WHERE ds <= '{{0}}' GROUP BY k"
    found = lab.rows(columns="ds, k, spread, lately")
    assert found == lab.run(" UNION ALL ".join(wanted.format(day) for day in DAYS))
    assert lab.chain().links[DAYS[0]].definition["measures"]["spread"] == "Spread('miles')"  # type: ignore[index]
    with pytest.raises(AirflowException, match=r"spread: was Spread\('miles'\), is Spread\('at'\)"):
        lab.publish(DAYS[6], measures={"spread": Spread("at"), "lately": arguments["measures"]["lately"]})


def test_created_and_only_created(lab: Lab) -> None:
    assert lab.publish(DAYS[0], exchange="create")["exchange"] == "create"
    with pytest.raises(AirflowException, match="create"):
        lab.publish(DAYS[1], exchange="create")
    with pytest.raises(AirflowException, match="attach"):
        lab.publish(DAYS[1], exchange="attach")
