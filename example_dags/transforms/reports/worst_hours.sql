-- One transaction: readers see the day as it was before, or as it is after.
CREATE TABLE IF NOT EXISTS analytics.worst_hours (
    ds date,
    place int,
    origin text,
    hour int,
    flights bigint,
    troubled bigint,
    PRIMARY KEY (ds, place)
);

DELETE FROM analytics.worst_hours WHERE ds = '{{ ds }}';

INSERT INTO analytics.worst_hours (ds, place, origin, hour, flights, troubled)
WITH hours AS (
    SELECT ds,
           origin,
           extract(hour FROM planned_departure)::int AS hour,
           count(*) AS flights,
           count(*) FILTER (WHERE status <> 'on time') AS troubled
    FROM analytics.fact_flights
    WHERE ds = '{{ ds }}'
    GROUP BY ds, origin, extract(hour FROM planned_departure)
),
ranked AS (
    SELECT *, row_number() OVER (ORDER BY troubled DESC, flights, origin, hour) AS place
    FROM hours
    WHERE troubled > 0
)
SELECT ds, place, origin, hour, flights, troubled
FROM ranked
WHERE place <= 3;
