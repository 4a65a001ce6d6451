"""What network planning looks at in the morning."""


def test_an_airline_day_counts_every_flight_once(transform, rows):
    t = transform("reports.airline_days")
    t.given("analytics.fact_flights", rows("carrier, flight_number, status, arrival_delay, in_bad_weather",
                                           "UA, 1, on time, -10, false",
                                           "UA, 2, late, 20, NULL",
                                           "UA, 3, diverted, NULL, true",
                                           "UA, 4, cancelled, NULL, true",
                                           "UA, 5, cancelled, NULL, false"))  # fmt: skip
    t.given("analytics.dim_airlines", rows("carrier, name", "UA, United Air Lines Inc."))
    run = t.run(ds="2013-02-08")
    assert run.rows == rows("airline, flights, on_time, late, diverted, cancelled, lost_to_weather, mean_arrival_delay",
                            "United Air Lines Inc., 5, 1, 1, 1, 2, 1, 5.0")  # fmt: skip
    assert run.checks().score == 1


def test_totals_go_on_from_day_to_day(transform, rows):
    t = transform("reports.airline_totals")
    t.given("analytics.airline_days", rows("ds, carrier, flights, cancelled",
                                           "2013-02-06, UA, 100, 1",
                                           "2013-02-07, UA, 110, 0",
                                           "2013-02-14, UA, 120, 9",
                                           "2013-02-14, AA,  80, 0"))  # fmt: skip
    assert t.run(ds="2013-02-07").rows == rows("carrier, flights, flights_7d, cancelled", "UA, 210, 210, 1")
    assert t.run(ds="2013-02-14").rows == rows("carrier, flights, flights_7d, most_cancelled, last_seen",
                                               "UA, 330, 120, 9, 2013-02-14",
                                               "AA,  80,  80, 0, 2013-02-14")  # fmt: skip


def test_the_three_worst_hours(transform, rows):
    t = transform("reports.worst_hours")
    t.given("analytics.fact_flights", rows("flight_number, origin, planned_departure, status",
                                           "1, EWR, 2013-02-08 17:00, cancelled",
                                           "2, EWR, 2013-02-08 17:59, late",
                                           "3, JFK, 2013-02-08 06:00, late",
                                           "4, LGA, 2013-02-08 06:00, late",
                                           "5, LGA, 2013-02-08 06:30, on time",
                                           "6, LGA, 2013-02-08 23:00, diverted"))  # fmt: skip
    run = t.run(ds="2013-02-08")
    assert run.rows == rows("place, origin, hour, flights, troubled", "1, EWR, 17, 2, 2", "2, JFK, 6, 1, 1",
                            "3, LGA, 23, 1, 1")  # fmt: skip
    assert t.run(ds="2013-02-08").rows == run.rows, "the day is replaced, and not added to"
