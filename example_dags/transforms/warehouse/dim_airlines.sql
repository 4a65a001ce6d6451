SELECT flown.carrier,
       airlines.name,
       flown.main_airport,
       flown.first_flight
FROM (
    SELECT carrier,
           mode() WITHIN GROUP (ORDER BY origin) AS main_airport,
           min(ds) AS first_flight
    FROM staging.flights
    GROUP BY carrier
) AS flown
LEFT JOIN raw.airlines AS airlines ON airlines.carrier = flown.carrier
