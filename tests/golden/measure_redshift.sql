SELECT
  COUNT(*),
  COUNT(CASE WHEN (region = 'EU') THEN 1 END),
  COUNT(*) - COUNT("dep_delay"),
  CAST(COUNT(*) - COUNT("dep_delay") AS DOUBLE PRECISION) / NULLIF(COUNT(*), 0),
  MIN("dep_delay"),
  MAX("dep_delay"),
  AVG(CAST("dep_delay" AS DOUBLE PRECISION)),
  STDDEV_SAMP(CAST("dep_delay" AS DOUBLE PRECISION)),
  SUM("dep_delay"),
  MAX(CHAR_LENGTH("carrier")),
  COUNT(CASE WHEN "carrier" = '' THEN 1 END),
  COUNT(CASE WHEN "carrier" !~ '^[A-Z0-9]{2}$' THEN 1 END),
  COUNT(CASE WHEN (region = 'EU') AND "origin" NOT IN ('EWR', 'JFK') THEN 1 END),
  CAST(COUNT(CASE WHEN "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT("late"), 0),
  CAST(COUNT(CASE WHEN (region = 'EU') AND "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT(CASE WHEN (region = 'EU') THEN "late" END), 0),
  CAST(EXTRACT(EPOCH FROM CAST(GETDATE() AS TIMESTAMPTZ)) - EXTRACT(EPOCH FROM CAST(MAX("ts") AS TIMESTAMPTZ)) AS DOUBLE PRECISION)
FROM "analytics"."flights" WHERE "ds" = '2013-02-01';

SELECT
  COUNT(DISTINCT "dep_delay"),
  COUNT("dep_delay") - COUNT(DISTINCT "dep_delay"),
  (SELECT PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY "dep_delay") FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s),
  COUNT(DISTINCT "carrier"),
  (SELECT CAST(COALESCE(SUM(n - 1), 0) AS BIGINT) FROM (SELECT COUNT(*) AS n FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s WHERE "ds" IS NOT NULL AND "carrier" IS NOT NULL GROUP BY "ds", "carrier" HAVING COUNT(*) > 1) AS d)
FROM "analytics"."flights" WHERE "ds" = '2013-02-01';

SELECT COUNT(*) FROM (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01') AS s WHERE "carrier" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "airlines" AS r WHERE r."carrier" = s."carrier");

WITH "dq_checked" AS (SELECT * FROM "analytics"."flights" WHERE "ds" = '2013-02-01')
SELECT * FROM (
SELECT COUNT(*) FROM "dq_checked"
) AS q;

SELECT size FROM svv_table_info WHERE "schema" = 'analytics' AND "table" = 'flights';

SELECT unsorted / 100.0 FROM svv_table_info WHERE "schema" = 'analytics' AND "table" = 'flights';

SELECT stats_off FROM svv_table_info WHERE "schema" = 'analytics' AND "table" = 'flights';

SELECT skew_rows FROM svv_table_info WHERE "schema" = 'analytics' AND "table" = 'flights';
