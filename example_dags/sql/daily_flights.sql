-- One row per day, carrier and airport of departure. Every row belongs to the partitions that the operator publishes:
-- one in the daily run, several in a backfill.
SELECT ds,
       carrier,
       origin,
       count(*) AS flights,
       count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
       avg(dep_delay)::double precision AS dep_delay,
       sum(distance)::bigint AS distance
FROM raw.flights
WHERE {% if backfill %}ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'{% else %}ds = '{{ ds }}'{% endif %}

GROUP BY ds, carrier, origin
