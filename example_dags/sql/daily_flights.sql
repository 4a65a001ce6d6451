-- One row per carrier and airport of departure. Every row belongs to the partition that the operator publishes.
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
