"""raw.weather and staging.weather: a file a day, and the same in metric units."""

from datetime import date

import pytest

NEW_YEAR = "2013-01-01"


def test_the_file_of_a_day_is_loaded(transform):
    run = transform("staging.raw_weather").run(ds=NEW_YEAR)
    assert run.count == 67
    assert {row["ds"] for row in run.rows} == {date(2013, 1, 1)}
    assert run.checks().score == 1


def test_an_empty_field_is_null(transform, rows, tmp_path):
    (tmp_path / "some.csv").write_text(
        "origin,time_hour,wind_gust\nEWR,2013-02-08T05:00Z,\nJFK,2013-02-08T05:00Z,17.26\n"
    )
    run = transform("staging.raw_weather").run(ds="2013-02-08", files=str(tmp_path / "some.csv"))
    assert run.rows == rows("ds, origin, wind_gust", "2013-02-08, EWR, NULL", "2013-02-08, JFK, 17.26")
    assert run.checks().names("warn") == ["nearly_every_hour"]


@pytest.mark.parametrize(
    ("visibility", "gust", "bad"), [(10, None, False), (3, None, True), (None, 40, True), (10, 37, False)]
)
def test_what_bad_weather_is(transform, rows, visibility, gust, bad):
    t = transform("staging.weather")
    t.given("raw.weather", rows("temp, visib, wind_gust", [32, visibility, gust]))
    assert t.run().rows == [{"celsius": 0, "is_bad": bad}]


def test_one_transform_reads_what_another_made(transform):
    loaded = transform("staging.raw_weather").run(ds=NEW_YEAR)
    assert transform("staging.weather").run(ds=NEW_YEAR).count == loaded.count
