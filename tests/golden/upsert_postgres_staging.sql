CREATE TEMP TABLE "stage" AS SELECT "id", "day", "say ""hi""", "fare" FROM "w"."daily flights" WHERE 1 = 0;
INSERT INTO "stage" ("id", "day", "say ""hi""", "fare")
SELECT 1;
INSERT INTO "stage" ("id", "day") VALUES (1, E'a\\b''c');
ANALYZE "stage";
SELECT CASE WHEN "id" IS NULL THEN 1 ELSE 0 END, CASE WHEN "day" IS NULL THEN 1 ELSE 0 END, COUNT(*) FROM "stage" GROUP BY 1, 2;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM "stage" GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM "stage" WHERE "id" IS NOT NULL AND "day" IS NOT NULL GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM (SELECT "id", "day", "payload", ROW_NUMBER() OVER (PARTITION BY "id" ORDER BY "day" DESC NULLS LAST, CAST(ROW("day", "id", "payload") AS text) COLLATE "C" DESC) AS "dq_rank" FROM "stage" WHERE "id" IS NOT NULL) AS r WHERE "dq_rank" = 1;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM "stage" WHERE "id" IS NOT NULL;
SET LOCAL lock_timeout = 2000;
LOCK TABLE "w"."daily flights" IN SHARE ROW EXCLUSIVE MODE;
SET LOCAL lock_timeout = 60000;
DROP TABLE IF EXISTS "stage";
COPY "stage" ("id", "day", "say ""hi""", "fare") FROM STDIN;
