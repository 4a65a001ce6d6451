WITH delivered AS (
    SELECT ds,
           carrier,
           flight AS flight_number,
           origin,
           dest AS destination,
           nullif(tailnum, '') AS tailnum,
           ds + make_time(hour, minute, 0) AS planned_departure,
           time_hour AS departure_hour,
           dep_time,
           dep_delay AS departure_delay,
           arr_delay AS arrival_delay,
           distance
    FROM raw.flights
    WHERE ds = '{{ ds }}'
)
SELECT ds,
       carrier,
       flight_number,
       origin,
       destination,
       tailnum,
       planned_departure,
       departure_hour,
       CASE
           WHEN dep_time IS NULL THEN 'cancelled'
           WHEN arrival_delay IS NULL THEN 'diverted'
           WHEN arrival_delay >= 15 THEN 'late'
           ELSE 'on time'
       END AS status,
       departure_delay,
       arrival_delay,
       distance
FROM delivered
