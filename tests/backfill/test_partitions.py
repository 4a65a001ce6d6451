"""Grains, calendars and clocks; columns of time in every type; names of every kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from backfill.lab import Lab

from airflow_dataquality.checks import check
from support import on

both = on("postgres", "redshift")

WITHIN = "SELECT p, id FROM facts WHERE p BETWEEN '{{ start_date }}' AND '{{ end_date }}'"


def hours(first: datetime, count: int) -> list[datetime]:
    return [first + timedelta(hours=number) for number in range(count)]


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


@dataclass(frozen=True)
class Calendar:
    """A range, and the values of its partition column.

    :param kind: the column's type
    :param values: one for each partition
    :param names: of the partitions, in the ledger
    """

    kind: str
    start: str
    end: str
    values: Sequence[Any]
    names: Sequence[str]
    arguments: dict[str, Any] = field(default_factory=dict)


LEAP = days(date(2012, 2, 27), 4)
MONTHS = [date(2012, 11, 1), date(2012, 12, 1), date(2013, 1, 1), date(2013, 2, 1)]
WEEKS = [date(2012, 12, 24), date(2012, 12, 31), date(2013, 1, 7)]
HOURS = hours(datetime(2012, 2, 28, 22), 28)  # noqa: DTZ001 - of a column without a time zone
UTC_HOURS = [at.replace(tzinfo=UTC) for at in HOURS]
CALENDARS = {
    "days of a leap year": Calendar("DATE", "2012-02-27", "2012-03-01", LEAP, list(map(str, LEAP))),
    "days without dashes": Calendar("DATE", "20120227", "20120301", LEAP, list(map(str, LEAP))),
    "days as text": Calendar("VARCHAR(20)", "2012-02-27", "2012-03-01", list(map(str, LEAP)), list(map(str, LEAP))),
    "days as numbers": Calendar(
        "INTEGER", "20120227", "20120301", [int(f"{d:%Y%m%d}") for d in LEAP], [f"{d:%Y%m%d}" for d in LEAP]
    ),
    "days as big numbers": Calendar(
        "NUMERIC(10, 0)", "20120227", "20120301", [int(f"{d:%Y%m%d}") for d in LEAP], [f"{d:%Y%m%d}" for d in LEAP]
    ),
    "days as moments": Calendar(
        "TIMESTAMP", "2012-02-27", "2012-03-01", LEAP, [f"{day}T00:00:00" for day in LEAP], {"days_per_chunk": 2}
    ),
    "months as text": Calendar(
        "VARCHAR(7)", "2012-11", "2013-02", [f"{d:%Y-%m}" for d in MONTHS], [f"{d:%Y-%m}" for d in MONTHS]
    ),
    "months as numbers": Calendar(
        "INTEGER", "201211", "201302", [int(f"{d:%Y%m}") for d in MONTHS], [f"{d:%Y%m}" for d in MONTHS]
    ),
    "months as days": Calendar("DATE", "2012-11-01", "2013-02-01", MONTHS, list(map(str, MONTHS)), {"grain": "month"}),
    "weeks": Calendar("DATE", "2012-12-24", "2013-01-07", WEEKS, list(map(str, WEEKS)), {"grain": "week"}),
    "hours": Calendar(
        "TIMESTAMP", "2012-02-28T22:00", "2012-03-01T01:00", HOURS, [at.isoformat() for at in HOURS],
        {"partitions_per_chunk": 5},
    ),
    "hours, a day at a time": Calendar(
        "TIMESTAMP", "2012-02-28 22:00", "2012-03-01 01:00", HOURS, [at.isoformat() for at in HOURS],
        {"days_per_chunk": 1},
    ),
    "hours as text": Calendar(
        "VARCHAR(30)", "2012-02-28T22", "2012-03-01T01", [at.isoformat()[:13] for at in HOURS],
        [at.isoformat()[:13] for at in HOURS],
    ),
    "hours with a zone": Calendar(
        "TIMESTAMPTZ", "2012-02-28T22:00Z", "2012-03-01T01:00Z", UTC_HOURS, [at.isoformat() for at in UTC_HOURS]
    ),
    "hours, written in another zone": Calendar(
        "TIMESTAMPTZ", "2012-02-29T03:30+05:30", "2012-03-01T06:30+05:30", UTC_HOURS,
        [at.isoformat() for at in UTC_HOURS],
    ),
}  # fmt: skip


@both
@pytest.mark.parametrize("calendar", CALENDARS.values(), ids=CALENDARS)
def test_every_partition_of_a_calendar(lab: Lab, calendar: Calendar) -> None:
    lab.run(f"CREATE TABLE facts (p {calendar.kind}, id INTEGER)", "CREATE TABLE made (LIKE facts)")
    values = [str(value) if isinstance(value, date) else value for value in calendar.values]
    lab.fill("facts", [(value, number) for number, value in enumerate(values)])
    lab.fill("made", [(values[1], 99), (values[-1], 99)])
    arguments = {"partitions_per_chunk": 3} | calendar.arguments
    if "days_per_chunk" in arguments:
        del arguments["partitions_per_chunk"]
    compared = [check("row_count_ratio", geq_to=1)]
    outcome = lab.backfill(WITHIN, table="made", partition_column="p", start=calendar.start, end=calendar.end,
                           compare_with_production=compared, **arguments)  # fmt: skip
    assert lab.rows("made") == lab.rows("facts")
    assert (outcome["partitions"], outcome["rows"]) == (len(values), len(values))
    assert lab.published() == dict.fromkeys(calendar.names, 1)
    # The comparison knew which partitions production held.
    passed = lab.ledger("check_result", "partition", "WHERE status = 'pass'")
    assert {json.loads(name)["p"] for (name,) in passed} == {calendar.names[1], calendar.names[-1]}
    again = lab.backfill(WITHIN, table="made", partition_column="p", start=calendar.start, end=calendar.end,
                         skip_unchanged=True, **arguments)  # fmt: skip
    assert (again["unchanged"], again["exchange"]) == (len(values), None)


def in_new_york(lab: Lab, request: pytest.FixtureRequest) -> None:
    """The sessions that are opened from now on have a clock that is put forward and back."""
    if lab.database.kind == "redshift":
        request.getfixturevalue("redshift").double.time_zone = "America/New_York"
    else:
        lab.eyes.execute(f"ALTER DATABASE {lab.eyes.info.dbname} SET timezone = 'America/New_York'")  # type: ignore[arg-type]


@both
@pytest.mark.parametrize("first", [datetime(2013, 3, 10, tzinfo=UTC), datetime(2013, 11, 3, tzinfo=UTC)], ids=str)
def test_hours_while_the_clock_is_put_forward_and_back(
    lab: Lab, request: pytest.FixtureRequest, first: datetime
) -> None:
    in_new_york(lab, request)
    moments = hours(first, 24)
    lab.run("CREATE TABLE facts (p TIMESTAMPTZ, id INTEGER)", "CREATE TABLE made (LIKE facts)")
    lab.fill("facts", [(at.isoformat(), number) for number, at in enumerate(moments)])
    outcome = lab.backfill(
        WITHIN, table="made", partition_column="p", start=f"{moments[0]:%Y-%m-%dT%H:%MZ}",
        end=f"{moments[-1]:%Y-%m-%dT%H:%MZ}", partitions_per_chunk=1,
    )  # fmt: skip
    assert (outcome["partitions"], outcome["chunks"]) == (24, 24)
    assert lab.rows("made", "id") == lab.rows("facts", "id")
    assert sorted(lab.published()) == [at.isoformat() for at in moments]


@both
@pytest.mark.parametrize(
    ("first", "midnights"),
    [
        (date(2013, 3, 9), ["2013-03-09T05", "2013-03-10T05", "2013-03-11T04"]),
        (date(2013, 11, 2), ["2013-11-02T04", "2013-11-03T04", "2013-11-04T05"]),
    ],
    ids=str,
)
def test_days_of_a_place_are_23_or_25_hours(
    lab: Lab, request: pytest.FixtureRequest, first: date, midnights: list[str]
) -> None:
    """A day is written as people there write it; the ledger names the moment."""
    in_new_york(lab, request)
    lab.run("CREATE TABLE facts (p TIMESTAMPTZ, id INTEGER)", "CREATE TABLE made (LIKE facts)")
    lab.fill("facts", [(f"{at}:00:00+00:00", number) for number, at in enumerate(midnights)])
    outcome = lab.backfill(WITHIN, table="made", partition_column="p", start=str(first),
                           end=str(first + timedelta(days=2)), days_per_chunk=1)  # fmt: skip
    assert (outcome["partitions"], outcome["rows"]) == (3, 3)
    assert sorted(lab.published()) == [f"{at}:00:00+00:00" for at in midnights]
    assert lab.rows("made", "id") == lab.rows("facts", "id")


@both
def test_an_hour_that_the_clock_skips_is_refused(lab: Lab, request: pytest.FixtureRequest) -> None:
    """Or the rows of the next one would be there twice."""
    in_new_york(lab, request)
    lab.run("CREATE TABLE facts (p TIMESTAMPTZ, id INTEGER)", "CREATE TABLE made (LIKE facts)")
    lab.fill("facts", [("2013-03-10T07:00:00+00:00", 1)])
    with pytest.raises(AirflowException, match=r"2013-03-10T02:00 and 2013-03-10T03:00 are the same p .timestamp"):
        lab.backfill(WITHIN, table="made", partition_column="p", start="2013-03-10T00:00", end="2013-03-10T05:00",
                     partitions_per_chunk=1)  # fmt: skip
    assert lab.rows("made") == []


@both
def test_an_hour_that_comes_twice_is_not_lost(lab: Lab, request: pytest.FixtureRequest) -> None:
    """Production's rows of the hour that nobody named would be deleted."""
    in_new_york(lab, request)
    lab.run("CREATE TABLE facts (p TIMESTAMPTZ, id INTEGER)", "CREATE TABLE made (LIKE facts)")
    lab.fill("made", [(f"2013-11-03T0{hour}:00:00+00:00", hour) for hour in (4, 5, 6, 7)])
    lab.run("INSERT INTO facts SELECT * FROM made")
    before = lab.rows("made")
    with pytest.raises(AirflowException, match="are of none of the partitions"):
        lab.backfill(WITHIN, table="made", partition_column="p", start="2013-11-03T00:00", end="2013-11-03T02:00",
                     partitions_per_chunk=1)  # fmt: skip
    assert lab.rows("made") == before


@both
def test_hours_of_a_column_of_days_are_refused(lab: Lab) -> None:
    with pytest.raises(
        AirflowException, match=r"2013-01-01 00:00 and 2013-01-01 01:00 are the same ds .date.: 2013-01-01"
    ):
        lab.backfill(start="2013-01-01 00:00", end="2013-01-02 23:00", partitions_per_chunk=1)


@both
@pytest.mark.parametrize("day", ["2013-01-02", "2013-01-08"])
def test_rows_between_two_partitions_are_told(lab: Lab, day: str) -> None:
    """Within the range, but of no week of it: staged, or in production alone."""
    weekly = {"start": "2013-01-01", "end": "2013-01-08", "grain": "week", "partitions_per_chunk": 2}
    lab.run(f"DELETE FROM src WHERE ds NOT IN ('2013-01-01', '2013-01-08', '{day}')")
    if day == "2013-01-02":
        with pytest.raises(AirflowException, match="rows of ds=2013-01-02 are of none of the partitions 2013-01-01 to"):
            lab.backfill(**weekly)
        assert lab.rows() == []
        return
    lab.fill("daily", [("2013-01-04", 1, 1)])
    with pytest.raises(AirflowException, match="rows of ds=2013-01-04 are of none of the partitions 2013-01-01 to"):
        lab.backfill(**weekly)
    assert len(lab.rows()) == 1


ODD = ['a "quoted" b', "select", "Größe 大", "back\\slash", "{curly}", "%s", "it's", "n", "held", "spread", "s", "p"]
LONG = "x" * 63  # the longest name of Postgres, and so of the double


@pytest.mark.parametrize(
    ("database", "name"), [(kind, name) for kind in ("postgres", "redshift") for name in ODD] + [("postgres", LONG)],
    indirect=["database"],
)  # fmt: skip
def test_names_of_every_kind(lab: Lab, name: str) -> None:
    """Of the schema, the table, the partition column and another one."""
    dialect = lab.database.session.dialect
    if lab.database.kind == "redshift":
        name = name.lower()  # as it folds them
    second = name[:62] + "2" if name != "n" else "held"
    odd, other = dialect.identifier(name), dialect.identifier(second)
    lab.run(
        f"CREATE SCHEMA {odd}",
        f"CREATE TABLE {odd}.{odd} ({odd} DATE, {other} INTEGER)",
        f"INSERT INTO {odd}.{odd} VALUES ('2013-01-01', 77)",
    )
    names = f"{{% raw %}}ds AS {odd}, id AS {other}{{% endraw %}}"
    select = f"SELECT {names} FROM src WHERE ds BETWEEN '{{{{ start_date }}}}' AND '{{{{ end_date }}}}'"
    compared = [check(kind, second, geq_to=0) for kind in ("lost_keys", "churn_ratio", "unseen_values", "mean_shift")]
    compared.append(check("row_count_ratio", geq_to=0))
    arguments = {"table": f"{odd}.{odd}", "partition_column": name, "compare_with_production": compared}
    outcome = lab.backfill(select, checks=[check("null_count", name, equal_to=0)], **arguments)
    assert outcome["rows"] == 30
    assert lab.rows(f"{odd}.{odd}") == lab.rows("src", "ds, id")
    assert lab.backfill(select, skip_unchanged=True, **arguments)["unchanged"] == 10
    assert lab.beside() == {}
