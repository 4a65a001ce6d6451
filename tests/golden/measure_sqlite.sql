SELECT
  COUNT(*),
  COUNT(CASE WHEN (region = 'EU') THEN 1 END),
  COUNT(*) - COUNT("dep_delay"),
  CAST(COUNT(*) - COUNT("dep_delay") AS DOUBLE PRECISION) / NULLIF(COUNT(*), 0),
  MIN("dep_delay"),
  MAX("dep_delay"),
  AVG("dep_delay"),
  (SELECT dq_sqrt(MAX(0.0, SUM((v - m) * (v - m)) - SUM(v - m) * SUM(v - m) / COUNT(v)) / NULLIF(COUNT(v) - 1, 0)) FROM (SELECT "dep_delay" AS v, AVG("dep_delay") OVER () AS m FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s) AS d),
  SUM("dep_delay"),
  MAX(LENGTH("carrier")),
  COUNT(CASE WHEN "carrier" = '' THEN 1 END),
  COUNT(CASE WHEN NOT dq_matches("carrier", '^[A-Z0-9]{2}$') THEN 1 END),
  COUNT(CASE WHEN (region = 'EU') AND "origin" NOT IN ('EWR', 'JFK') THEN 1 END),
  CAST(COUNT(CASE WHEN "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT("late"), 0),
  CAST(COUNT(CASE WHEN (region = 'EU') AND "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT(CASE WHEN (region = 'EU') THEN "late" END), 0),
  (JULIANDAY('now') - MAX(JULIANDAY("ts"))) * 86400.0
FROM "analytics"."flights" WHERE "ds" = '2013-02-01';

SELECT
  COUNT(DISTINCT "dep_delay"),
  COUNT("dep_delay") - COUNT(DISTINCT "dep_delay"),
  (SELECT CASE WHEN MIN(v) = MAX(v) THEN 1.0 * MIN(v) ELSE MIN(v) + (MAX(v) - MIN(v)) * (MAX(p) - CAST(MAX(p) AS INTEGER)) END FROM (SELECT "dep_delay" AS v, ROW_NUMBER() OVER (ORDER BY "dep_delay") AS r, 1 + 0.9 * (COUNT(*) OVER () - 1) AS p FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s WHERE "dep_delay" IS NOT NULL) AS d WHERE ABS(r - p) < 1),
  COUNT(DISTINCT "carrier"),
  (SELECT CAST(COALESCE(SUM(n - 1), 0) AS BIGINT) FROM (SELECT COUNT(*) AS n FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s WHERE "ds" IS NOT NULL AND "carrier" IS NOT NULL GROUP BY "ds", "carrier" HAVING COUNT(*) > 1) AS d)
FROM "analytics"."flights" WHERE "ds" = '2013-02-01';

SELECT COUNT(*) FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s WHERE "carrier" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "airlines" AS r WHERE r."carrier" = s."carrier");

WITH "dq_checked" AS (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01')
SELECT * FROM (
SELECT COUNT(*) FROM "dq_checked"
) AS q;
