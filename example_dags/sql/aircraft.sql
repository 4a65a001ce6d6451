-- Every flight of the day, for the last one of each aircraft; none that is older than what the table holds.
SELECT tailnum,
       carrier,
       dest AS last_destination,
       time_hour AS last_seen
FROM raw.flights
WHERE ds = '{{ ds }}'::date
  AND dep_time IS NOT NULL
  AND NOT EXISTS (
      SELECT 1 FROM analytics.aircraft WHERE aircraft.tailnum = flights.tailnum AND last_seen > time_hour
  )
