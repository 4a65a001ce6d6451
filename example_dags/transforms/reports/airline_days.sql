WITH counted AS (
    SELECT ds,
           carrier,
           count(*) AS flights,
           count(*) FILTER (WHERE status = 'on time') AS on_time,
           count(*) FILTER (WHERE status = 'late') AS late,
           count(*) FILTER (WHERE status = 'diverted') AS diverted,
           count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE status = 'cancelled' AND in_bad_weather) AS lost_to_weather,
           round(avg(arrival_delay), 1) AS mean_arrival_delay
    FROM analytics.fact_flights
    WHERE ds = '{{ ds }}'
    GROUP BY ds, carrier
)
SELECT counted.ds,
       counted.carrier,
       airlines.name AS airline,
       counted.flights,
       counted.on_time,
       counted.late,
       counted.diverted,
       counted.cancelled,
       counted.lost_to_weather,
       counted.mean_arrival_delay
FROM counted
LEFT JOIN analytics.dim_airlines AS airlines ON airlines.carrier = counted.carrier
