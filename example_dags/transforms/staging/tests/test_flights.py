"""staging.flights: what becomes of the rows that the airports deliver."""


def test_the_status_tells_what_became_of_a_flight(transform, rows):
    t = transform("staging.flights")
    t.given("raw.flights", rows("flight, dep_time, arr_delay",
                                "     1,      517,        -3",
                                "     2,      533,        14",
                                "     3,      542,        15",
                                "     4,      544,      NULL",
                                "     5,     NULL,      NULL"))  # fmt: skip
    assert t.run(ds="2013-02-08").rows == rows(
        "flight_number, status", "1, on time", "2, on time", "3, late", "4, diverted", "5, cancelled"
    )


def test_a_departure_is_planned_for_a_time_of_its_day(transform, rows):
    t = transform("staging.flights")
    t.given("raw.flights", rows("ds, hour, minute", "2013-02-08, 23, 59", "2013-02-09, 0, 1"))
    run = t.run(ds="2013-02-08")
    assert run.rows == rows("ds, planned_departure", "2013-02-08, 2013-02-08 23:59")
    assert run.types["planned_departure"] == "timestamp without time zone"


def test_no_aircraft_is_null(transform, rows):
    t = transform("staging.flights")
    t.given("raw.flights", rows("flight, tailnum", "1, N14228", "2, ''", "3, NULL"))
    assert t.cte("delivered").run().rows == rows("flight_number, tailnum", "1, N14228", "2, NULL", "3, NULL")


def test_rows_that_nobody_can_use_are_blocked(transform, rows):
    t = transform("staging.flights")
    t.given("raw.flights", rows("carrier, flight, origin, dest, dep_time",
                                "UA, 1, EWR, IAH, 517",
                                "'', 2, TEB, Houston, NULL"))  # fmt: skip
    checks = t.run().checks()
    assert checks.names("fail") == ["airports_of_new_york", "destination_is_a_code"]
    assert checks.names("warn") == ["a_tenth_is_cancelled_at_most"]
