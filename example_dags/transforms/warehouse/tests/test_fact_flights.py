"""analytics.fact_flights: departures, and the weather that they had."""


def test_each_flight_has_the_weather_of_its_airport_and_hour(transform, rows):
    t = transform("warehouse.fact_flights")
    t.given("staging.flights", rows("flight_number, origin, departure_hour",
                                    "            1,    EWR, 2013-02-08 17:00Z",
                                    "            2,    EWR, 2013-02-08 18:00Z",
                                    "            3,    JFK, 2013-02-08 17:00Z"))  # fmt: skip
    t.given("staging.weather", rows("origin, hour, celsius, is_bad",
                                    "EWR, 2013-02-08 17:00Z, -1.5, true",
                                    "EWR, 2013-02-08 18:00Z,    0, false"))  # fmt: skip
    assert t.run(ds="2013-02-08").rows == rows(
        "flight_number, celsius, in_bad_weather", "1, -1.5, true", "2, 0, false", "3, NULL, NULL"
    )


def test_a_flight_without_weather_is_kept_and_warned_of(transform, rows):
    t = transform("warehouse.fact_flights")
    t.given("staging.flights", rows("carrier, status, departure_delay", "UA, cancelled, NULL"))
    run = t.run()
    assert run.count == 1
    assert run.checks().names("warn") == ["weather_is_known"]


def test_other_days_are_left_alone(transform, rows):
    t = transform("warehouse.fact_flights")
    t.given("staging.flights", rows("ds, carrier", "2013-02-07, UA", "2013-02-08, AA"))
    t.given("staging.weather", rows("ds", "2013-02-07", "2013-02-08"))
    assert t.cte("departures").run(ds="2013-02-08").rows == rows("carrier", "AA")
    assert t.cte("skies").run(ds="2013-02-08").count == 1
