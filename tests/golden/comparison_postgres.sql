-- rows on both sides
SELECT "ds", SUM(dq_n), SUM(dq_held) FROM (SELECT "ds", COUNT(*) AS dq_n, 0 AS dq_held FROM "analytics"."daily__dq_backfill_abc" AS s GROUP BY "ds"
UNION ALL SELECT "ds", 0, COUNT(*) FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p GROUP BY "ds") AS q GROUP BY "ds";

-- rows of a table that is to be created
SELECT "ds", SUM(dq_n), SUM(dq_held) FROM (SELECT "ds", COUNT(*) AS dq_n, 0 AS dq_held FROM "analytics"."daily__dq_backfill_abc" AS s GROUP BY "ds") AS q GROUP BY "ds";

-- row_count_ratio
SELECT "ds", CAST(SUM(dq_n) AS DOUBLE PRECISION) / NULLIF(SUM(dq_held), 0), SUM(dq_held) FROM (SELECT "ds", COUNT(*) AS dq_n, 0 AS dq_held FROM "analytics"."daily__dq_backfill_abc" AS s GROUP BY "ds"
UNION ALL SELECT "ds", 0, COUNT(*) FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p GROUP BY "ds") AS q GROUP BY "ds";

-- lost_keys
SELECT "ds", SUM(dq_n), SUM(dq_held) FROM (SELECT "ds", 0 AS dq_n, COUNT(*) AS dq_held FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p GROUP BY "ds"
UNION ALL SELECT "ds", 0, 0 FROM "analytics"."daily__dq_backfill_abc" AS s GROUP BY "ds"
UNION ALL SELECT "ds", COUNT(*), 0 FROM (SELECT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p EXCEPT SELECT "ds", "tail num" FROM "analytics"."daily__dq_backfill_abc" AS s) AS lost GROUP BY "ds") AS q GROUP BY "ds";

-- churn_ratio
SELECT "ds", CAST(SUM(dq_n) AS DOUBLE PRECISION) / NULLIF(SUM(dq_held), 0), SUM(dq_held) FROM (SELECT "ds", 0 AS dq_n, COUNT(*) AS dq_held FROM (SELECT DISTINCT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p) AS d GROUP BY "ds"
UNION ALL SELECT "ds", COUNT(*), 0 FROM (SELECT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p EXCEPT SELECT "ds", "tail num" FROM "analytics"."daily__dq_backfill_abc" AS s) AS lost GROUP BY "ds"
UNION ALL SELECT "ds", COUNT(*), 0 FROM (SELECT "ds", "tail num" FROM "analytics"."daily__dq_backfill_abc" AS s EXCEPT SELECT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p) AS gained GROUP BY "ds") AS q GROUP BY "ds";

-- unseen_values
SELECT s."ds", COUNT(DISTINCT CASE WHEN p."tail num" IS NULL THEN s."tail num" END), (SELECT COUNT(*) FROM (SELECT 1 FROM "analytics"."daily" AS e LIMIT 1) AS h) FROM "analytics"."daily__dq_backfill_abc" AS s LEFT JOIN (SELECT DISTINCT "tail num" FROM "analytics"."daily" AS e) AS p ON p."tail num" = s."tail num" GROUP BY s."ds";

-- mean_shift
SELECT "ds", CASE WHEN MAX(dq_n) = MAX(dq_held) THEN 0 WHEN MAX(dq_spread) = 0 THEN CAST('Infinity' AS DOUBLE PRECISION) ELSE ABS(MAX(dq_n) - MAX(dq_held)) / MAX(dq_spread) END, COUNT(dq_held) FROM (SELECT "ds", AVG(CAST("tail num" AS DOUBLE PRECISION)) AS dq_n, CAST(NULL AS DOUBLE PRECISION) AS dq_held, CAST(NULL AS DOUBLE PRECISION) AS dq_spread FROM "analytics"."daily__dq_backfill_abc" AS s GROUP BY "ds"
UNION ALL SELECT "ds", NULL, AVG(CAST("tail num" AS DOUBLE PRECISION)), COALESCE(STDDEV_SAMP(CAST("tail num" AS DOUBLE PRECISION)), 0) FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS p GROUP BY "ds") AS q GROUP BY "ds";

-- lost_keys of two columns, the partition's among them, where
SELECT "ds", SUM(dq_n), SUM(dq_held) FROM (SELECT "ds", 0 AS dq_n, COUNT(*) AS dq_held FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31' AND (carrier = 'AA' -- American
)) AS p GROUP BY "ds"
UNION ALL SELECT "ds", 0, 0 FROM (SELECT * FROM "analytics"."daily__dq_backfill_abc" WHERE (carrier = 'AA' -- American
)) AS s GROUP BY "ds"
UNION ALL SELECT "ds", COUNT(*), 0 FROM (SELECT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31' AND (carrier = 'AA' -- American
)) AS p EXCEPT SELECT "ds", "tail num" FROM (SELECT * FROM "analytics"."daily__dq_backfill_abc" WHERE (carrier = 'AA' -- American
)) AS s) AS lost GROUP BY "ds") AS q GROUP BY "ds";

-- partitions that changed
SELECT DISTINCT "ds" FROM ((
SELECT "ds", "tail num", "doc", "place", COUNT(*) AS dq_times FROM (SELECT "ds", "tail num", CAST("doc" AS TEXT) AS "doc", CAST("place" AS TEXT) AS "place" FROM "analytics"."daily__dq_backfill_abc" AS r) AS c
GROUP BY "ds", "tail num", "doc", "place"
EXCEPT SELECT "ds", "tail num", "doc", "place", COUNT(*) AS dq_times FROM (SELECT "ds", "tail num", CAST("doc" AS TEXT) AS "doc", CAST("place" AS TEXT) AS "place" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS r) AS c
GROUP BY "ds", "tail num", "doc", "place")
UNION ALL (SELECT "ds", "tail num", "doc", "place", COUNT(*) AS dq_times FROM (SELECT "ds", "tail num", CAST("doc" AS TEXT) AS "doc", CAST("place" AS TEXT) AS "place" FROM (SELECT * FROM "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31') AS r) AS c
GROUP BY "ds", "tail num", "doc", "place"
EXCEPT SELECT "ds", "tail num", "doc", "place", COUNT(*) AS dq_times FROM (SELECT "ds", "tail num", CAST("doc" AS TEXT) AS "doc", CAST("place" AS TEXT) AS "place" FROM "analytics"."daily__dq_backfill_abc" AS r) AS c
GROUP BY "ds", "tail num", "doc", "place")) AS differing;

-- what is published, if some have not
SELECT "ds", "tail num" FROM "analytics"."daily__dq_backfill_abc" WHERE "ds" NOT IN ('2013-01-05', '2013-01-06');

-- what it takes the place of
DELETE FROM ONLY "analytics"."daily" WHERE "ds" BETWEEN '2013-01-01' AND '2013-01-31' AND "ds" NOT IN ('2013-01-05', '2013-01-06');

-- a chunk's own table
CREATE TEMPORARY TABLE "dq_chunk_1" (LIKE "analytics"."daily__dq_backfill_abc" INCLUDING DEFAULTS INCLUDING GENERATED);

-- a chunk's lock
SELECT pg_advisory_xact_lock(#);

-- the stage of a table that is to be created
CREATE TABLE "analytics"."daily__dq_backfill_abc" AS
SELECT 1 AS ds
WITH NO DATA;
CREATE INDEX "daily_ds_idx" ON "analytics"."daily__dq_backfill_abc" ("ds");
