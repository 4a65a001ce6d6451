-- the ledger, of a day
SELECT "partition", measured_at, metric, value, 0 AS marked FROM "dataquality"."metric" WHERE "table_schema" = 'w' AND "table_name" = 'daily flights' AND "partition" >= '{"carrier": "it''s", "ds": "2012-11-09"}' AND "partition" < '{"carrier": "it''s", "ds": "2013-02-08"}' AND state <> 'rejected'
UNION ALL SELECT "partition", given_at, metric, NULL, CASE verdict WHEN 'withdrawn' THEN -1 ELSE 1 END FROM "dataquality"."verdict" WHERE "table_schema" = 'w' AND "table_name" = 'daily flights' AND "partition" >= '{"carrier": "it''s", "ds": "2012-11-09"}' AND "partition" < '{"carrier": "it''s", "ds": "2013-02-08"}' AND verdict IN ('incident', 'expected', 'withdrawn')
ORDER BY 2;

-- the ledger, of a whole table
SELECT "partition", measured_at, metric, value, 0 AS marked FROM "dataquality"."metric" WHERE "table_schema" = 'w' AND "table_name" = 'daily flights' AND "partition" = '{}' AND state <> 'rejected' AND measured_at >= '2012-11-09 00:00:00'
UNION ALL SELECT "partition", given_at, metric, NULL, CASE verdict WHEN 'withdrawn' THEN -1 ELSE 1 END FROM "dataquality"."verdict" WHERE "table_schema" = 'w' AND "table_name" = 'daily flights' AND "partition" = '{}' AND verdict IN ('incident', 'expected', 'withdrawn')
ORDER BY 2;

-- the table's past, in one scan
SELECT
  "ds",
  COUNT(*),
  COUNT(CASE WHEN (region = 'EU') THEN 1 END),
  CAST(COUNT(*) - COUNT("say ""hi""") AS DOUBLE PRECISION) / NULLIF(COUNT(*), 0),
  AVG(CAST("dep_delay" AS DOUBLE PRECISION)),
  CAST(COUNT(CASE WHEN "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT("late"), 0),
  AVG(CAST(CASE WHEN (region = 'EU') THEN "dep_delay" END AS DOUBLE PRECISION))
FROM "w"."daily flights" WHERE "carrier" = 'it''s' AND ("ds" >= '2012-11-10' AND "ds" < '2013-02-08')
GROUP BY "ds";
SELECT
  "ds",
  COUNT(DISTINCT "say ""hi""")
FROM "w"."daily flights" WHERE "carrier" = 'it''s' AND ("ds" >= '2012-11-10' AND "ds" < '2013-02-08')
GROUP BY "ds";

-- a dimension
SELECT
  "origin", "dest",
  COUNT(*),
  COUNT(CASE WHEN (region = 'EU') THEN 1 END),
  CAST(COUNT(*) - COUNT("say ""hi""") AS DOUBLE PRECISION) / NULLIF(COUNT(*), 0),
  AVG(CAST("dep_delay" AS DOUBLE PRECISION)),
  CAST(COUNT(CASE WHEN "late" THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT("late"), 0),
  AVG(CAST(CASE WHEN (region = 'EU') THEN "dep_delay" END AS DOUBLE PRECISION))
FROM "w"."daily flights" WHERE "ds" = '2013-02-08' AND "carrier" = 'it''s' AND (("origin" IS NULL OR "origin" IN (SELECT "origin" FROM "w"."daily flights" WHERE "ds" = '2013-02-08' AND "carrier" = 'it''s' AND (region = 'EU') GROUP BY "origin" ORDER BY COUNT(*) DESC, "origin" LIMIT 51)))
GROUP BY "origin", "dest";
SELECT
  "origin", "dest",
  COUNT(DISTINCT "say ""hi""")
FROM "w"."daily flights" WHERE "ds" = '2013-02-08' AND "carrier" = 'it''s' AND (("origin" IS NULL OR "origin" IN (SELECT "origin" FROM "w"."daily flights" WHERE "ds" = '2013-02-08' AND "carrier" = 'it''s' AND (region = 'EU') GROUP BY "origin" ORDER BY COUNT(*) DESC, "origin" LIMIT 51)))
GROUP BY "origin", "dest";

-- what was recorded of which partitions
SELECT "partition" FROM "dataquality"."metric" WHERE "table_schema" = 'w' AND "table_name" = 'daily flights' AND state <> 'rejected' AND metric IN ('mean(dep_delay)', 'row_count') GROUP BY "partition" HAVING COUNT(DISTINCT metric) = 2;

-- the days since the last
"w"."daily flights" WHERE ("ds" <= '2013-02-08' AND "ds" > '2013-02-04');
