"""The page of a check and of a metric, and what people say there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine import verdicts
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Partition, Table
from support import Warehouse
from ui.filled import Filled, ago

if TYPE_CHECKING:
    from ui.lab import Pages

T = Table("flights", "analytics")
NAME = "row_count"
HERE = f"/t/warehouse/analytics.flights/checks/{NAME}"
REASON = "472 cancelled flights; expected 4 to 61 for a Friday, from 28 days"


def day(number: int) -> dict[str, str]:
    return {"ds": ago(number).date().isoformat()}


@pytest.fixture
def filled(shown: Warehouse, dags: Callable[..., None]) -> Iterator[Filled]:
    """The ledger of the connection that the pages show, with a check that fails on the last of some days."""
    dags("flights")
    with shown.connect() as connection:
        found = Filled(DbApiSession(connection, dialect_for("postgres")))
        for number in range(40, 0, -1):
            bad = number == 1
            write = found.rejected if bad else found.published
            run_uid = write(T, day(number), ago(number - 0.5))
            value = 472.0 if bad else 30.0 + number % 7
            more = {"status": "fail", "reason": REASON, "p_value": 1e-6} if bad else {}
            more |= {"status": "skip", "value": None, "value_text": None} if number == 9 else {}
            found.result(T, day(number), ago(number - 0.5), NAME, run_uid=run_uid, low=4.0, high=61.0, expected=31.0,
                         **{"value": value, **more})  # fmt: skip
            state = "rejected" if bad else "published"
            found.measured(T, day(number), ago(number - 0.5), NAME, run_uid=run_uid, value=value, state=state)
        yield found


def series(html: str) -> dict[str, Any]:
    """What is drawn."""
    found = re.search(r'<script type="application/json" class="dq-chart">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def failed(filled: Filled) -> dict[str, str]:
    """What a form says of the result that failed."""
    (row,) = filled.ledger.session.query("SELECT run_uid, partition FROM dataquality.check_run")
    return {"run_uid": str(row[0]), "partition": str(row[1])}


def test_a_failure_in_words_and_on_the_chart(ui: Pages, filled: Filled) -> None:
    html = ui.get(HERE).text
    assert REASON in html
    assert "Expected 4 to 61, likeliest 31, for a" in html
    assert "once in 1,000,000 times" in html
    assert "/dags/flights/runs/manual__1/tasks/publish?try_number=1" in html
    drawn = series(html)
    assert (len(drawn["x"]), drawn["y"][-1], drawn["status"][-1], drawn["y"].count(None)) == (40, 472.0, "fail", 1)
    assert (drawn["low"][0], drawn["high"][0], drawn["expected"][0]) == (4.0, 61.0, 31.0)
    assert drawn["title"][-1] == f"ds {day(1)['ds']}: {REASON}"
    assert drawn["href"][0].startswith(f"/dq{HERE}?partition=")
    assert len(series(ui.get(f"{HERE}?last=7").text)["x"]) == 7
    earlier = ui.get(HERE, params={"partition": json.dumps(day(5))}).text
    assert f"ds {day(5)['ds']}</dd>" in earlier
    assert "COUNT(*)" in html
    assert html.count('<th scope="row"') == 40  # the same numbers, for those who see no chart


def test_acknowledge_and_open_again(ui: Pages, filled: Filled) -> None:
    said = {"verdict": "acknowledged", "note": "<b>I</b> 'look'; %s", **failed(filled)}
    answer = ui.post(f"{HERE}/verdict", said, user="user")
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, f"/dq{HERE}")
    html = ui.get(HERE).text
    assert "user looks after it: &lt;b&gt;I&lt;/b&gt; &#39;look&#39;; %s." in html
    assert "<b>I</b>" not in html
    assert "Acknowledged or muted" in ui.get("/").text
    assert '<span class="tag" title="Somebody looks after it' in ui.get("/").text
    ui.post(f"{HERE}/verdict", {"verdict": "reopened", **failed(filled)}, user="user")
    assert '<span class="tag"' not in ui.get("/").text
    (first, second) = verdicts.said(filled.ledger, T)
    assert (first.verdict, first.author, first.check_name, second.verdict) == ("acknowledged", "user", NAME, "reopened")


def test_what_is_marked_as_expected_leaves_the_baseline(ui: Pages, filled: Filled) -> None:
    assert "leaves the baseline" in ui.get(HERE).text
    about = {"partition": Partition.of(T, day(5)).json}
    (row,) = filled.ledger.session.query(
        f"SELECT run_uid FROM dataquality.check_result WHERE partition = '{about['partition']}'"
    )
    about["run_uid"] = str(row[0])
    ui.post(f"{HERE}/verdict", {"verdict": "expected", "note": "a holiday", **about})
    html = ui.get(HERE, params={"partition": about["partition"]}).text
    assert "admin marked this value as expected: a holiday" in html
    assert series(html)["status"][35] == "skip"
    (verdict,) = verdicts.standing(verdicts.said(filled.ledger, T))
    assert (verdict.metric, verdict.partition) == (NAME, about["partition"])
    ui.post(f"{HERE}/verdict", {"verdict": "withdrawn", **about})
    assert verdicts.standing(verdicts.said(filled.ledger, T)) == []
    ui.post(f"{HERE}/verdict", {"verdict": "incident", **about})
    assert "marked this value as an incident" in ui.get(HERE, params={"partition": about["partition"]}).text


def test_mute_until_a_day(ui: Pages, filled: Filled) -> None:
    ends = (datetime.now(UTC) + timedelta(days=3)).date()
    ui.post(f"{HERE}/verdict", {"verdict": "muted", "until": str(ends), "note": "known"})
    html = ui.get(HERE).text
    assert "what it blocks stays blocked" not in html
    assert "Muted until" in html
    assert f"muted until {ends + timedelta(days=1)}" in ui.get("/t/warehouse/analytics.flights").text
    assert verdicts.muted_now(filled.ledger, T).keys() == {NAME}
    assert 'class="tag" title="Somebody looks after it' in ui.get("/").text
    ui.post(f"{HERE}/verdict", {"verdict": "unmuted"})
    assert verdicts.muted_now(filled.ledger, T) == {}
    assert "what it blocks stays blocked" in ui.get(HERE).text


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"verdict": "muted", "until": "2013-02-08"}, 400),
        ({"verdict": "muted", "until": "soon"}, 400),
        ({"verdict": "muted", "until": "9" * 30}, 400),
        ({"verdict": "published", "partition": "{}", "run_uid": "x"}, 404),
        ({"verdict": "acknowledged", "partition": "{}", "run_uid": "x"}, 404),
        ({"verdict": "'; DROP TABLE dataquality.verdict; --"}, 404),
        ({}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(form: dict[str, str], status: int, ui: Pages, filled: Filled) -> None:
    assert ui.post(f"{HERE}/verdict", form).status_code == status
    assert verdicts.said(filled.ledger) == []


def test_only_who_may_edit_the_dag_may_say_something(ui: Pages, filled: Filled, dags: Callable[..., None]) -> None:
    form = {"verdict": "acknowledged", **failed(filled)}
    assert ui.post(f"{HERE}/verdict", form, user="viewer").status_code == 403
    assert ui.post(f"{HERE}/verdict", {**form, "csrf": "forged"}).status_code == 403
    assert ui.get(f"{HERE}", user=None).status_code == 401
    dags("flights", hidden={"stranger": ["flights"]})
    assert ui.post(f"{HERE}/verdict", form, user="stranger").status_code == 404
    assert verdicts.said(filled.ledger) == []
    assert "What is to become of it" not in ui.get(HERE, user="viewer").text
    assert "What is to become of it" in ui.get(HERE, user="user").text


@pytest.mark.parametrize(
    ("value", "text", "shown_as"),
    [
        (None, None, "–"),
        (None, "NaN", "NaN"),
        (1e25, str(10**25 + 1), "1e+25"),
        (None, "2013-02-08 10:00:00+00:00", "2013-02-08 10:00:00+00:00"),
        (None, "1 day, 2:00:00", "1 day, 2:00:00"),
        (0.012345678, "0.012345678", "0.01235"),
        (None, "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ],
)
def test_values_of_all_kinds(value: float | None, text: str | None, shown_as: str, ui: Pages, filled: Filled) -> None:
    name = "</script><script>alert('n')</script>/../%2e%s\"é"
    filled.result(T, {"</script>": "<script>"}, ago(0), name, value=value, value_text=text, status="warn",
                  reason="</script><script>alert('r')</script>", interval="<b>", metric="custom_sql",
                  definition='{"params": {"sql": "SELECT \'</script>\'"}}')  # fmt: skip
    table = ui.get("/t/warehouse/analytics.flights").text
    (address,) = set(re.findall(r'href="(/dq/t/warehouse/analytics.flights/checks/[^"]*script[^"]*)"', table))
    answer = ui.get(address.removeprefix("/dq"))
    assert answer.status_code == 200
    for html in (table, answer.text):
        assert shown_as in html
        assert "<script>alert" not in html
        assert "<b>" not in html.replace("<b>1</b>", "").replace("<b>1 partition", "")
    assert "SELECT &#39;&lt;/script&gt;&#39;" in answer.text


def test_a_check_that_nobody_knows(ui: Pages, filled: Filled) -> None:
    assert ui.get(f"/t/warehouse/analytics.flights/checks/{quote('<script>')}").status_code == 404
    assert ui.get(f"{HERE}?last=1").status_code == 400
    assert ui.get(f"{HERE}?partition=nonsense").status_code == 200


def test_a_metric_with_its_band(ui: Pages, filled: Filled) -> None:
    here = "/t/warehouse/analytics.flights/metrics"
    html = ui.get(here, params={"metric": "row_count"}).text
    drawn = series(html)
    assert (drawn["y"][-1], drawn["status"][-1]) == (472.0, "blocked")
    assert "expects of each value" in html
    assert drawn["low"][-2] is not None
    assert drawn["low"][-2] <= drawn["y"][-2] <= drawn["high"][-2]
    assert ui.get(here, params={"metric": "<b>"}).status_code == 404
    assert ui.get(here).status_code == 400
    filled.measured(T, {}, ago(0), "mean(x) where y > '<script>'")
    answer = ui.get(here, params={"metric": "mean(x) where y > '<script>'"})
    assert (answer.status_code, "There is no band" in answer.text, "<script>'" in answer.text) == (200, True, False)
