SELECT a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relname = 'daily flights' AND n.nspname = 'w' AND a.attisdistkey AND NOT a.attisdropped;
CREATE TEMP TABLE "stage" DISTKEY ("id") AS SELECT "id", "day", "say ""hi""", "fare" FROM "w"."daily flights" WHERE 1 = 0;
INSERT INTO "stage" ("id", "day", "say ""hi""", "fare")
SELECT 1;
INSERT INTO "stage" ("id", "day") VALUES (1, 'a\\b''c');
ANALYZE "stage";
SELECT CASE WHEN "id" IS NULL THEN 1 ELSE 0 END, CASE WHEN "day" IS NULL THEN 1 ELSE 0 END, COUNT(*) FROM "stage" GROUP BY 1, 2;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM "stage" GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM "stage" WHERE "id" IS NOT NULL AND "day" IS NOT NULL GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM (SELECT "id", "day", "payload", ROW_NUMBER() OVER (PARTITION BY "id" ORDER BY "day" DESC NULLS LAST, "id" DESC NULLS LAST) AS "dq_rank" FROM "stage" WHERE "id" IS NOT NULL) AS r WHERE "dq_rank" = 1;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM "stage" WHERE "id" IS NOT NULL;
DROP TABLE IF EXISTS "stage";
COPY "stage" ("id") FROM 's3://lake/it''s/' IAM_ROLE 'arn:aws:iam::123456789012:role/loader' REGION 'eu-west-1' FORMAT AS PARQUET STATUPDATE OFF;
COPY "stage" ("id") FROM 's3://lake/it''s/' IAM_ROLE 'arn:aws:iam::123456789012:role/loader' REGION 'eu-west-1' CSV GZIP STATUPDATE ON COMPUPDATE OFF;
COPY "stage" ("id") FROM 's3://lake/it''s/' IAM_ROLE DEFAULT COMPUPDATE OFF STATUPDATE OFF;
SELECT pg_last_copy_count();
