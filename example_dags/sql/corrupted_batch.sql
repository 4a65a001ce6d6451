-- What a broken upstream job delivered: every row twice, the second time without the carriers of Newark.
WITH batch AS (
    SELECT '{{ ds }}'::date AS ds,
           carrier,
           origin,
           count(*) AS flights,
           count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
           avg(dep_delay)::double precision AS dep_delay,
           sum(distance)::bigint AS distance
    FROM raw.flights
    WHERE ds = '{{ ds }}'::date
    GROUP BY carrier, origin
)
SELECT ds, carrier, origin, flights, cancelled, dep_delay, distance FROM batch
UNION ALL
SELECT ds, CASE WHEN origin <> 'EWR' THEN carrier END, origin, flights, cancelled, dep_delay, distance FROM batch
