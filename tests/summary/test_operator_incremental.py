"""Day after day: the same rows as all facts read at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import DAYS, Lab

from airflow_dataquality.measures import Count
from support import on

pytestmark = on("postgres", "redshift")

DAILY = "SELECT * FROM facts WHERE ds = '{{ ds }}'"
BOTH = (
    "SELECT * FROM facts WHERE "
    "{% if backfill %} ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' {% else %} ds = '{{ ds }}' {% endif %}"
)


@pytest.mark.parametrize("arguments", [{}, {"sql": DAILY}, {"sql": BOTH}], ids=str)
def test_day_after_day(lab: Lab, arguments: dict[str, Any]) -> None:
    for day in DAYS:
        outcome = lab.publish(day, **arguments)
        assert outcome["published"]
        assert outcome["exchange"] == ("create" if day == DAYS[0] else "overwrite")
        assert outcome["rows"] == len(lab.rescan(day))
    assert lab.right(*DAYS)
    assert lab.beside() == []
    assert lab.published() == dict.fromkeys(DAYS, 1)


def test_the_first_run_reads_all_facts_up_to_it(lab: Lab) -> None:
    lab.publish("2013-01-03")
    assert lab.right("2013-01-03")
    lab.publish("2013-01-04", "2013-01-05")
    assert lab.right(*DAYS[2:5])


@pytest.mark.parametrize("arguments", [{}, {"sql": BOTH}], ids=str)
def test_since(lab: Lab, arguments: dict[str, Any]) -> None:
    lab.publish("2013-01-03", "2013-01-04", since="2013-01-02", **arguments)
    assert lab.right("2013-01-03", "2013-01-04", since="2013-01-02")


def test_since_with_sql_that_reads_one_day(lab: Lab) -> None:
    lab.publish("2013-01-02", since="2013-01-02", sql=DAILY)
    assert lab.right("2013-01-02", since="2013-01-02")
    lab.run("DROP TABLE s", "DELETE FROM dataquality.publication")
    one = "the SQL reads one partition, by its ds, and 2013-01-02 to 2013-01-03 are wanted\nHint: read from start_date"
    with pytest.raises(AirflowException, match=re.escape(one)):
        lab.publish("2013-01-03", since="2013-01-02", sql=DAILY)


def test_before_since_is_nothing(lab: Lab) -> None:
    with pytest.raises(AirflowException, match="2013-01-01 is before since=2013-01-02"):
        lab.publish("2013-01-01", since="2013-01-02")


@pytest.mark.parametrize("sql", [DAILY, BOTH])
def test_of_a_select_the_first_partition_is_the_beginning(lab: Lab, sql: str) -> None:
    lab.publish("2013-01-02", "2013-01-03", sql=sql)
    assert lab.right("2013-01-02", "2013-01-03", since="2013-01-02")
    # Until another one is.
    lab.publish("2013-01-01", sql=sql)
    assert lab.right(*DAYS[:3])
    assert lab.published() == {"2013-01-01": 1, "2013-01-02": 2, "2013-01-03": 2}


def test_before_the_first(lab: Lab) -> None:
    lab.publish("2013-01-05", "2013-01-06")
    assert lab.publish("2013-01-02")["published"]
    assert lab.right("2013-01-02", "2013-01-05", "2013-01-06")
    assert lab.published() == dict.fromkeys(["2013-01-02", "2013-01-05", "2013-01-06"], 1)


def test_the_same_partition_again(lab: Lab) -> None:
    lab.publish(*DAYS[:3])
    for _ in range(2):
        assert lab.publish(DAYS[2])["published"]
        assert lab.right(*DAYS[:3])
    lab.fill([(DAYS[2], "z", 1, 1, "JFK")])
    lab.publish(DAYS[2])
    assert lab.right(*DAYS[:3])
    assert lab.published() == {DAYS[0]: 1, DAYS[1]: 1, DAYS[2]: 4}


def test_a_day_without_facts_carries_on(lab: Lab) -> None:
    lab.run("DELETE FROM facts WHERE ds > '2013-01-02'")
    lab.publish(*DAYS)
    assert lab.right(*DAYS)
    assert {row[-2] for row in lab.rows(DAYS[-1])} == {0}


@pytest.mark.parametrize("arguments", [{}, {"sql": DAILY}], ids=str)
def test_no_facts_at_all(lab: Lab, arguments: dict[str, Any]) -> None:
    lab.run("DELETE FROM facts WHERE ds < '2013-01-05'")
    with pytest.raises(
        AirflowException, match=r"not_empty [\s\S]*Hint: look at what the source reads; allow_empty=True"
    ):
        lab.publish("2013-01-03", **arguments)
    assert lab.chain().links == {}
    lab.publish(*DAYS[2:], allow_empty=True, **arguments)
    assert lab.right(*DAYS[2:])
    assert [lab.chain().links[day].rows for day in DAYS[2:]] == [0, 0, 2, 3, 4]


def test_several_days_without_facts(lab: Lab) -> None:
    lab.run("DELETE FROM facts WHERE ds < '2013-01-05'")
    for day in DAYS[:6]:
        lab.publish(day, lookback_days=2, allow_empty=True)
    assert lab.right(*DAYS[:6])
    assert [lab.chain().links[day].rows for day in DAYS[:6]] == [0, 0, 0, 0, 2, 3]
    with pytest.raises(AirflowException, match=r"public.s/ds=2013-01-02/2013-01-04 has no rows at all\nHint: "):
        lab.publish(DAYS[3], lookback_days=2)


def test_a_select_from_a_file(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts.sql").write_text(f"-- facts\n{BOTH}\n")
    lab.publish(*DAYS, sql="facts.sql")
    assert lab.right(*DAYS)
    # Another way to write it is another definition: only blanks do not count.
    (tmp_path / "facts.sql").write_text(f"-- facts\n\n  {BOTH}")
    lab.publish(DAYS[-1], sql="facts.sql")


def test_several_keys(lab: Lab) -> None:
    lab.publish(*DAYS, keys=["spot", "k"], measures={"n": Count()})
    wanted = "SELECT CAST('{}' AS DATE), spot, k, count(*) FROM facts WHERE ds <= '{}' GROUP BY spot, k"
    assert lab.rows(columns="ds, spot, k, n") == lab.run(" UNION ALL ".join(wanted.format(day, day) for day in DAYS))
