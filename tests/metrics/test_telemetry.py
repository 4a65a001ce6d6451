"""The catalogue of metrics, and the rules of names and tags."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dataquality.telemetry import (
    CATALOGUE,
    COMMON,
    LONGEST,
    OTHER,
    Fold,
    Kind,
    Observation,
    bounded,
    clean_name,
    clean_tag,
    clean_tags,
    observe,
)

TEXT = st.text(max_size=300)
NAMES = sorted(name.removeprefix("dataquality.") for name in CATALOGUE)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,199}")


# -- the catalogue is an interface


def test_every_name_is_one_that_datadog_keeps_as_it_is() -> None:
    for name, known in CATALOGUE.items():
        assert re.fullmatch(r"dataquality(\.[a-z][a-z_]*)+", name)
        assert clean_name(name) == name
        assert known.meaning[0].isupper() or known.meaning[0].isdigit()
        assert not known.meaning.endswith(".")
        assert not set(known.tags) & set(COMMON)
        for tag in (*COMMON, *known.tags):
            assert clean_tag(tag, "x") == f"{tag}:x"


def test_no_name_is_the_beginning_of_another() -> None:
    """A StatsD server that keeps names as folders could not store both."""
    assert [(name, other) for name in CATALOGUE for other in CATALOGUE if other.startswith(f"{name}.")] == []


def test_only_a_gauge_is_folded() -> None:
    assert all(known.kind is Kind.GAUGE for known in CATALOGUE.values() if known.fold is not Fold.DROP)


def test_a_name_or_tag_that_is_not_in_the_catalogue_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        observe("rows.eaten", 1)
    with pytest.raises(KeyError, match="has no tag check"):
        observe("rows.staged", 1, {"check": "x"})


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_no_number_is_not_observed(value: float | None) -> None:
    assert observe("rows.staged", value) == []


def test_what_is_not_known_is_no_tag() -> None:
    (one,) = observe("rows.staged", 3, {"dag": None, "task": "", "table": "t"})
    assert one == Observation("dataquality.rows.staged", 3.0, Kind.GAUGE, {"table": "t"}, "row", Fold.SUM)


# -- names and tags


@given(TEXT)
def test_names(text: str) -> None:
    cleaned = clean_name(text)
    assert NAME.fullmatch(cleaned)
    assert clean_name(cleaned) == cleaned


@given(st.text(max_size=20), TEXT)
def test_tags(key: str, value: str) -> None:
    tag = clean_tag(key, value)
    assert 0 < len(tag) <= LONGEST
    assert tag[0].isalpha()
    assert tag[-1] not in "_:"
    assert tag == tag.lower()
    assert not re.search(r"[^\w\-:./]", tag)
    again, _, rest = tag.partition(":")
    assert clean_tag(again, rest) == tag


@given(st.dictionaries(st.sampled_from(["table", "check"]), st.text(max_size=20)))
def test_tags_break_no_line(tags: dict[str, str]) -> None:
    assert not any(re.search(r"[,|#\n\r]", tag) for tag in clean_tags(tags))


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        ("analytics.daily_flights", "t:analytics.daily_flights"),
        ("daily__flights", "t:daily__flights"),
        ("Größe", "t:größe"),
        ("a, b|c#d\ne", "t:a_b_c_d_e"),
        ("mean(id)", "t:mean_id"),
        ("", "t"),
        ("x" * 300, "t:" + "x" * 198),
    ],
)
def test_tags_by_example(value: str, cleaned: str) -> None:
    assert clean_tag("t", value) == cleaned


# -- how many


def of_checks(name: str, values: list[float]) -> list[Observation]:
    return [one for n, value in enumerate(values) for one in observe(name, value, {"check": f"c{n}", "dag": "d"})]


def test_values_beyond_the_most_are_other() -> None:
    status = of_checks("check.status", [2, 1, 0, 1, 0])
    kept, cut = bounded([*status, *of_checks("check.value", [5, 4, 3, 2, 1])], 2)
    assert cut == {"check": 3}
    found = {(each.name.rpartition(".")[2], each.tags["check"]): each.value for each in kept}
    # The worst of what was cut is told; its values, which have nothing to do with each other, are not.
    assert found == {
        ("status", "c0"): 2, ("status", "c1"): 1, ("status", OTHER): 1, ("value", "c0"): 5, ("value", "c1"): 4,
    }  # fmt: skip


def test_rows_and_counts_beyond_the_most_are_added_up() -> None:
    tables = [{"table": f"t{n}"} for n in range(4)]
    observations = [
        one for tags in tables for name in ("rows.checked", "checks.passed") for one in observe(name, 2, tags)
    ]
    kept, _ = bounded(observations, 1)
    assert {(each.name, each.tags["table"]): each.value for each in kept} == {
        ("dataquality.rows.checked", "t0"): 2, ("dataquality.rows.checked", OTHER): 6,
        ("dataquality.checks.passed", "t0"): 2, ("dataquality.checks.passed", OTHER): 6,
    }  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 30)), max_size=60), st.integers(1, 10))
def test_bounded(drawn: list[tuple[str, int]], most: int) -> None:
    observations = [one for name, n in drawn for one in observe(name, n, {"table": f"t{n}"})]
    kept, cut = bounded(observations, most)
    assert len({each.tags["table"] for each in kept} - {OTHER}) <= most
    assert {each.name for each in kept if each.kind is not Kind.GAUGE} == {
        each.name for each in observations if each.kind is not Kind.GAUGE
    }
    assert sum(each.value for each in kept if each.kind is Kind.COUNT) == sum(
        each.value for each in observations if each.kind is Kind.COUNT
    )
    gauges = [(each.name, each.tags["table"]) for each in kept if each.kind is Kind.GAUGE]
    assert len(gauges) == len(set(gauges))
    assert bool(cut) == (len({n for _, n in drawn}) > most)


# -- what it costs


@pytest.mark.parametrize("module", ["telemetry", "hooks.datadog", "notifications.datadog"])
def test_importing_it_is_cheap(module: str) -> None:
    script = (
        "import sys, airflow.providers.common.sql.operators.sql, airflow.providers.common.compat.sdk as sdk\n"
        "sdk.BaseNotifier, sdk.conf, sdk.Stats, sdk.BaseHook\n"
        "before = set(sys.modules)\n"
        f"import airflow_dataquality.{module}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"datadog", "requests", "urllib3", "numpy", "scipy", "pandas"}.isdisjoint(done.stdout.split())
