"""Airlines, aircraft and airports."""

import pytest


def test_an_airline_has_its_name_and_its_main_airport(transform, rows):
    t = transform("warehouse.dim_airlines")
    t.given("staging.flights", rows("ds, carrier, flight_number, origin",
                                    "2013-02-08, UA, 1, LGA",
                                    "2013-02-08, UA, 2, EWR",
                                    "2013-02-07, UA, 1, EWR",
                                    "2013-02-07, ZZ, 1, JFK"))  # fmt: skip
    t.given("raw.airlines", rows("carrier, name", "UA, United Air Lines Inc.", "AA, American Airlines Inc."))
    run = t.run(ds="2013-02-08")
    assert run.rows == rows("carrier, name, main_airport, first_flight",
                            "UA, United Air Lines Inc., EWR, 2013-02-07",
                            "ZZ, NULL, JFK, 2013-02-07")  # fmt: skip
    assert run.checks().names("fail") == ["airline_has_a_name"]


def test_flights_are_counted_before_names_are_looked_up(transform, rows):
    t = transform("warehouse.dim_airlines").given("staging.flights", rows("carrier", "UA"))
    assert t.subquery("flown").run().rows == rows("carrier", "UA")


def test_an_aircraft_is_where_it_was_last_seen(transform, rows):
    t = transform("warehouse.dim_aircraft")
    t.given("staging.flights", rows("tailnum, destination, planned_departure, status",
                                    "N14228, IAH, 2013-02-07 05:15, on time",
                                    "N14228, MIA, 2013-02-07 17:00, late",
                                    "N14228, ORD, 2013-02-07 21:00, cancelled",
                                    "NULL,   ORD, 2013-02-07 21:00, on time"))  # fmt: skip
    t.given("raw.planes", rows("tailnum, model, year", "N14228, 737-824, 1999"))
    assert t.run().rows == rows("tailnum, model, built, last_destination", "N14228, 737-824, 1999, MIA")


def test_an_older_day_does_not_take_an_aircraft_back(transform, rows):
    t = transform("warehouse.dim_aircraft")
    t.given("analytics.dim_aircraft", rows("tailnum, last_destination", "N24211, BOS"))
    t.given("staging.flights", rows("ds, tailnum, destination, planned_departure",
                                    "2013-02-07, N14228, IAH, 2013-02-07 05:15",
                                    "2013-02-08, N14228, MIA, 2013-02-08 05:15"))  # fmt: skip
    in_order = [t.run(ds=day).rows for day in ("2013-02-07", "2013-02-08")]
    assert in_order[-1] == rows("tailnum, last_destination", "N14228, MIA", "N24211, BOS")
    assert t.run(ds="2013-02-07").rows == in_order[-1]


@pytest.mark.parametrize(("airport", "latitude", "longitude", "nearest", "miles"), [
    ("JFK", 40.639751, -73.778925, "JFK", 0),
    ("LAX", 33.942536, -118.408075, "EWR", 2454),
    ("BOS", 42.364347, -71.005181, "LGA", 184),
])  # fmt: skip
def test_how_far_an_airport_is(transform, rows, airport, latitude, longitude, nearest, miles):
    new_york = [("EWR", 40.6925, -74.168667), ("LGA", 40.777245, -73.872608), ("JFK", 40.639751, -73.778925)]
    places = {*new_york, (airport, latitude, longitude)}
    t = transform("warehouse.dim_airports").given("raw.airports", rows("faa, lat, lon", *places))
    (found,) = [row for row in t.run().rows if row["airport"] == airport]
    assert found["nearest"] == nearest
    # As far as the airlines say it is. The earth is not quite a sphere.
    assert found["distance_km"] == pytest.approx(miles * 1.609344, rel=0.005)


def test_without_new_york_there_is_no_distance(transform, rows):
    t = transform("warehouse.dim_airports").given("raw.airports", rows("faa, alt", "BOS, 19"))
    assert t.run().rows == rows("airport, altitude_m, nearest, distance_km", "BOS, 6, NULL, NULL")
