-- Of each aircraft that flew on the day, the last flight of all: days may run in any order, and more than once.
WITH flown AS (
    SELECT DISTINCT tailnum
    FROM staging.flights
    WHERE ds = '{{ ds }}' AND tailnum IS NOT NULL AND status <> 'cancelled'
),
last_flights AS (
    SELECT DISTINCT ON (flights.tailnum)
           flights.tailnum, flights.carrier, flights.destination, flights.planned_departure
    FROM flown
    JOIN staging.flights AS flights ON flights.tailnum = flown.tailnum AND flights.status <> 'cancelled'
    ORDER BY flights.tailnum, flights.planned_departure DESC, flights.flight_number
)
SELECT last_flights.tailnum,
       planes.manufacturer,
       planes.model,
       planes.seats,
       planes.year AS built,
       last_flights.carrier,
       last_flights.destination AS last_destination,
       last_flights.planned_departure AS last_seen
FROM last_flights
LEFT JOIN raw.planes AS planes ON planes.tailnum = last_flights.tailnum
