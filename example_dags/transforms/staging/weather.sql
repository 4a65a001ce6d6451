WITH metric AS (
    SELECT ds,
           origin,
           time_hour AS hour,
           round((temp - 32) * 5 / 9, 1) AS celsius,
           round(coalesce(wind_gust, wind_speed) * 1.609344, 1) AS gust_kmh,
           round(visib * 1.609344, 1) AS visibility_km,
           round(precip * 25.4, 1) AS precipitation_mm
    FROM raw.weather
    WHERE ds = '{{ ds }}'
)
SELECT ds,
       origin,
       hour,
       celsius,
       gust_kmh,
       visibility_km,
       precipitation_mm,
       coalesce(visibility_km < 5, false) OR coalesce(gust_kmh > 60, false) AS is_bad
FROM metric
