-- Every airline, over all its flights up to and including the day.
SELECT carrier,
       airlines.name AS airline,
       count(*) AS flights,
       count(*) FILTER (WHERE dep_time IS NULL) AS cancelled,
       avg(arr_delay)::double precision AS arr_delay,
       max(ds) AS last_flight
FROM raw.flights
JOIN raw.airlines USING (carrier)
WHERE ds <= '{{ ds }}'::date
GROUP BY carrier, airlines.name
