"""Airports, and how far they are from New York: trigonometry reads better here than in SQL."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

NEW_YORK = ("EWR", "JFK", "LGA")
EARTH_KM = 6371.0088
METRES_PER_FOOT = 0.3048


def run(inputs):
    """Yield a row for each airport. There is no distance as long as none of New York's airports is known."""
    airports = inputs["raw.airports"].rows()
    home = {row["faa"]: row for row in airports if row["faa"] in NEW_YORK}
    for row in airports:
        distances = {code: great_circle(row, at) for code, at in home.items()}
        nearest = min(distances, key=distances.get, default=None)
        yield {
            "airport": row["faa"],
            "name": row["name"],
            "time_zone": row["tzone"],
            "altitude_m": round(row["alt"] * METRES_PER_FOOT),
            "nearest": nearest,
            "distance_km": None if nearest is None else round(distances[nearest]),
        }


def great_circle(one, other):
    """Kilometres between two airports, by the haversine formula."""
    north, south = radians(one["lat"]), radians(other["lat"])
    across = radians(one["lon"] - other["lon"])
    chord = sin((north - south) / 2) ** 2 + cos(north) * cos(south) * sin(across / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(chord))
