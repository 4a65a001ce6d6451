WITH departures AS (
    SELECT * FROM staging.flights WHERE ds = '{{ ds }}'
),
skies AS (
    SELECT origin, hour, celsius, gust_kmh, visibility_km, is_bad FROM staging.weather WHERE ds = '{{ ds }}'
)
SELECT departures.ds,
       departures.carrier,
       departures.flight_number,
       departures.origin,
       departures.destination,
       departures.tailnum,
       departures.planned_departure,
       departures.status,
       departures.departure_delay,
       departures.arrival_delay,
       departures.distance,
       skies.celsius,
       skies.gust_kmh,
       skies.visibility_km,
       skies.is_bad AS in_bad_weather
FROM departures
LEFT JOIN skies ON skies.origin = departures.origin AND skies.hour = departures.departure_hour
