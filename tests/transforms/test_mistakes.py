"""Mistakes that people make: each is told of with the file, the place, what is wrong and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from airflow_dataquality.transforms import load
from airflow_dataquality.transforms.linting import lint
from transforms.flights_project import FILES, written

DAILY, SQL = "flights/daily_flights.yaml", "flights/daily_flights.sql"


class Mistake(NamedTuple):
    """What is changed, and what is said of it.

    :param files: in place of the sound project's; or the text of a file that is replaced, and by what
    :param says: where, what, and the hint; regular expressions
    """

    files: Mapping[str, str | tuple[str, str]]
    where: str
    what: str
    hint: str


def _more(text: str) -> tuple[str, str]:
    return "tags: [core]", f"tags: [core]\n        {text}"


MISTAKES = {
    "no YAML": Mistake(
        {DAILY: "kind: [create_table_as"}, r"daily_flights\.yaml:\d+:\d+", "not valid YAML", "mend the file"
    ),
    "a key twice": Mistake(
        {DAILY: _more("tags: [two]")}, r"daily_flights\.yaml:11:1", "found the key 'tags' twice", "mend"
    ),
    "no mapping": Mistake(
        {DAILY: "- kind: sql"}, r"daily_flights\.yaml:1:1", "it holds list, and no keys", "one key to a line"
    ),
    "no kind": Mistake({DAILY: "description: x"}, r"daily_flights\.yaml:1:1", "no `kind`", "create_table_as, upsert"),
    "an unknown kind": Mistake(
        {DAILY: ("create_table_as", "create_tabel")},
        r"daily_flights\.yaml:2:1: error: kind",
        "unknown kind 'create_tabel'",
        r"did you mean 'create_table_as'\?",
    ),
    "an unknown key": Mistake(
        {DAILY: _more("descripton: x")},
        r"daily_flights\.yaml:11:1: error: descripton",
        "unknown key 'descripton'",
        r"did you mean 'description'\?",
    ),
    "another kind's key": Mistake(
        {DAILY: _more("measures: {n: count}")},
        r"daily_flights\.yaml:11:1: error: measures",
        "`measures` is for incremental_summary, and this is a create_table_as",
        "leave it out",
    ),
    "no output": Mistake(
        {"flights/aircraft.yaml": "kind: upsert\ninputs: [raw.flights]"},
        r"aircraft\.yaml:1:1",
        "no `output`",
        "write output: ",
    ),
    "an unknown key of the output": Mistake(
        {DAILY: ("primary_key:", "primary_keys:")},
        r"daily_flights\.yaml:5:79: error: output.primary_keys",
        "unknown key of an output 'primary_keys'",
        r"did you mean 'primary_key'\?",
    ),
    "a table without a schema": Mistake(
        {DAILY: ("analytics.daily_flights,", "daily_flights,")},
        r"daily_flights\.yaml:5:10: error: output.table",
        "has no schema",
        "analytics.daily_flights",
    ),
    "no table's name": Mistake(
        {DAILY: ("analytics.daily_flights,", "analytics.daily-flights,")},
        r"daily_flights\.yaml:5:10",
        "'analytics.daily-flights' is not a table name",
        "schema.table",
    ),
    "indexes that are no list": Mistake(
        {DAILY: ("[[carrier]]", "carrier")},
        r"daily_flights\.yaml:5:\d+: error: output.indexes",
        "indexes is 'carrier', no list",
        r"\[carrier\]",
    ),
    "an input twice": Mistake(
        {DAILY: ("[raw.flights, ", "[raw.flights, RAW.flights, ")},
        r"daily_flights\.yaml:4:23: error: inputs\[1\]",
        "RAW.flights is there twice",
        "leave one out",
    ),
    "no SQL": Mistake(
        {SQL: "", DAILY: FILES[DAILY]}, r"daily_flights\.yaml:2:1", "daily_flights.sql is empty", "write the SELECT"
    ),
    "SQL under another name": Mistake(
        {
            "flights/aircraft.yaml": FILES["flights/aircraft.yaml"],
            "flights/aircraft.sql": "DELETED",
            "flights/aircrafts.sql": FILES["flights/aircraft.sql"],
        },
        r"aircraft\.yaml:2:1",
        "there is no aircraft.sql",
        r"did you mean 'aircrafts.sql'\?",
    ),
    "SQL without a header": Mistake(
        {"flights/weekly.sql": "SELECT 1"}, r"weekly\.sql:1:1", "there is no weekly.yaml", "Headers"
    ),
    "SQL twice": Mistake(
        {DAILY: _more("sql: SELECT 1")},
        r"daily_flights\.yaml:11:1: error: sql",
        "both `sql` and daily_flights.sql",
        "keep one",
    ),
    "an upsert without keys": Mistake(
        {"flights/aircraft.yaml": (", primary_key: [tailnum]", "")},
        r"aircraft\.yaml:4:1",
        "an upsert without keys",
        r"primary_key: \[id\]",
    ),
    "indexes that nobody makes": Mistake(
        {"flights/busiest.yaml": ("partition: ds}", "partition: ds, indexes: [[origin]]}")},
        r"busiest\.yaml:4:\d+: error: output.indexes",
        "indexes of a sql are not made",
        "the statements create the table",
    ),
    "an unknown measure": Mistake(
        {"flights/carrier_summary.yaml": ("flights: count,", "flights: cuont,")},
        r"carrier_summary\.yaml:6:1: error: measures",
        "cuont",
        r"did you mean 'count'\?",
    ),
    "a schedule that is none": Mistake(
        {"flights/pipeline.yaml": ('"@daily"', '"@dayly"')},
        r"pipeline\.yaml:4:1",
        "schedule is '@dayly'",
        r"did you mean '@daily'\?",
    ),
    "two schedules": Mistake(
        {DAILY: _more('schedule: "@hourly"')},
        r"daily_flights\.yaml:11:1: error: schedule",
        "'@hourly', and '@daily' in pipeline.yaml: a pipeline is one DAG",
        "folder of its own",
    ),
    "a handle that is none": Mistake(
        {DAILY: ('"@slack-planning"', "slack-planning")},
        r"daily_flights\.yaml:9:1: error: monitor",
        "'slack-planning' is no handle",
        "handles begin with @",
    ),
    "a file without a format": Mistake(
        {"flights/raw_flights.yaml": (".csv", ".txt")},
        r"raw_flights\.yaml:3:1: error: files",
        "no `format`, and",
        "csv | json | parquet".replace("|", r"\|"),
    ),
    "no function": Mistake(
        {"flights/ratings.yaml": ("inputs:", "function: rate\n        inputs:"), "flights/ratings.py": "DELETED"},
        r"ratings\.yaml:3:1: error: function",
        "function 'rate', and there is no ratings.py",
        "package.module.rate",
    ),
    "a template that is none": Mistake(
        {SQL: ("'{{ ds }}'", "'{{ ds | }}'")}, r"daily_flights\.sql:1:1", "no template", "look at its"
    ),
    "a name that nobody gives": Mistake(
        {SQL: ("{{ ds }}", "{{ dss }}")},
        r"daily_flights\.sql:2:\d+",
        "the template names 'dss', which nobody gives",
        r"did you mean 'ds'\?",
    ),
    "SQL that cannot be read": Mistake(
        {SQL: ("GROUP BY", "GRUOP BY")}, r"daily_flights\.sql:\d+:\d+", "no SQL that can be read", "mend the SQL"
    ),
    "two statements": Mistake(
        {SQL: ("GROUP BY", "; DROP TABLE x; --")}, r"daily_flights\.sql", "more than one statement", "one SELECT"
    ),
    "an undeclared input": Mistake(
        {DAILY: ("[raw.flights, reference.carriers]", "[raw.flights]")},
        r"daily_flights\.sql:5:\d+: error: sql",
        "the SQL reads reference.carriers, which is no input",
        r"add it to inputs: \[raw.flights, reference.carriers\]",
    ),
    "an unused input": Mistake(
        {"flights/aircraft.yaml": ("[raw.flights]", "[raw.flights, reference.carriers]")},
        r"aircraft\.yaml:3:23: error: inputs\[1\]",
        "the input reference.carriers is not read",
        "leave it out",
    ),
    "an unknown input": Mistake(
        {
            "flights/aircraft.yaml": ("raw.flights", "raw.fligths"),
            "flights/aircraft.sql": ("raw.flights", "raw.fligths"),
        },
        r"aircraft\.yaml:3:10: error: inputs\[0\]",
        "the input raw.fligths is no transform's output",
        r"did you mean 'raw.flights'\?.*no_op",
    ),
    "a cycle": Mistake(
        {
            "flights/aircraft.yaml": ("[raw.flights]", "[analytics.loop]"),
            "flights/aircraft.sql": ("raw.flights WHERE ds = '{{ ds }}'", "analytics.loop"),
            "flights/loop.yaml": "kind: create_table_as\ninputs: [analytics.aircraft]\noutput: {table: analytics.loop}",
            "flights/loop.sql": "SELECT tailnum, longest AS distance FROM analytics.aircraft",
        },
        r"loop\.yaml:2:10: error: inputs\[0\]",
        "a cycle: flights",
        "have one of them read something else",
    ),
    "an output twice": Mistake(
        {"flights/aircraft.yaml": ("analytics.aircraft", "analytics.ratings")},
        r"aircraft\.yaml:4:10: error: output.table",
        r"written by flights.ratings \(",
        "have one transform write",
    ),
    "a column that disappeared": Mistake(
        {
            SQL: ("AS cancelled", "AS canceled"),
            "flights/busiest.sql": ("sum(flights)", "sum(cancelled)"),
            DAILY: ("{cancelled:", "{canceled:"),
        },
        r"busiest\.sql:6:\d+: error: sql",
        "reads cancelled of analytics.daily_flights, which has no such column",
        r"did you mean 'canceled'\?",
    ),
    "a column that the output names": Mistake(
        {DAILY: ("{cancelled:", "{canceled:")},
        r"daily_flights\.yaml:6:\d+: error: output.columns.canceled",
        "names canceled, which the SELECT does not yield",
        r"did you mean 'cancelled'\?",
    ),
    "a partition that is not selected": Mistake(
        {DAILY: ("partition: ds,", "partition: day,")},
        r"daily_flights\.yaml:5:\d+: error: output.partition",
        "names day, which the SELECT does not yield",
        "Columns: ",
    ),
    "a script that writes another table": Mistake(
        {"flights/busiest.yaml": ("analytics.busiest", "analytics.busy")},
        r"busiest\.sql:2:\d+",
        "the SQL writes analytics.busiest, which is no output",
        "write output: ",
    ),
    "no rule set": Mistake(
        {DAILY: ("checks/daily_flights.yaml", "checks/daily.yaml")},
        r"daily_flights\.yaml:7:1: error: checks",
        "'checks/daily.yaml' does not exist",
        "relative",
    ),
    "a mistake in the rule set": Mistake(
        {"flights/checks/daily_flights.yaml": ("check: null_count", "check: nul_count")},
        r"checks/daily_flights\.yaml:4:\d+",
        "nul_count",
        r"did you mean 'null_count'\?",
    ),
    "a mistake in a check of the header": Mistake(
        {"flights/aircraft.yaml": ("inputs:", "checks: [{check: nul_count, column: tailnum}]\n        inputs:")},
        r"aircraft\.yaml:3:11: error: checks\[0\]",
        "nul_count",
        r"did you mean 'null_count'\?",
    ),
    "a check of a table that is no input": Mistake(
        {
            "flights/aircraft.yaml": (
                "inputs:",
                "checks: [{check: orphan_count, column: carrier, references: reference.carriers}]\n        inputs:",
            )
        },
        r"aircraft\.yaml:3:1: error: checks",
        "a check reads reference.carriers, which is no input",
        r"add it to inputs: \[raw\.flights, reference\.carriers\]",
    ),
    "an argument of the operator": Mistake(
        {DAILY: _more("exchange: swop")},
        r"daily_flights\.yaml:11:1: error: exchange",
        "exchange is 'swop'",
        r"did you mean 'swap'\?",
    ),
    "an argument of the anomalies": Mistake(
        {DAILY: ("{metrics: auto}", "{metric: auto}")}, r"daily_flights\.yaml:8:1: error: anomalies", "metric", "."
    ),
    "a type that is none": Mistake(
        {"flights/ratings.yaml": ("numeric(4, 2)", "numeric(4; 2)")},
        r"ratings\.yaml:\d+:\d+",
        "the type of rating",
        "CREATE TABLE",
    ),
    "a header in no pipeline": Mistake(
        {"weekly.yaml": "kind: sql"}, r"weekly\.yaml:1:1", "in no pipeline's folder", "move it"
    ),
}


def test_the_project_is_sound(tmp_path: Path) -> None:
    assert lint(load(written(tmp_path), cache=False)) == []
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, tmp_path: Path) -> None:
    mistake = MISTAKES[name]
    written(tmp_path)
    for file, change in mistake.files.items():
        path = tmp_path / file
        if change == "DELETED":
            path.unlink()
        elif isinstance(change, str):
            written(tmp_path, {file: change})
        else:
            old, new = (part.replace("\n        ", "\n") for part in change)
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))
    found = lint(load(tmp_path, cache=False))
    told = [str(each) for each in found]
    fitting = [each for each in told if re.search(mistake.where, each) and re.search(mistake.what, each)]
    assert fitting, told
    assert re.search(rf"(?s)Hint: .*{mistake.hint}", fitting[0]), told
    assert all(str(tmp_path) in each.file for each in found)
