CREATE TEMP TABLE "stage" AS SELECT "id", "day", "say ""hi""", "fare" FROM "w"."daily flights" WHERE 1 = 0;
INSERT INTO "stage" ("id", "day", "say ""hi""", "fare")
SELECT 1;
INSERT INTO "stage" ("id", "day", "say ""hi""", "fare") VALUES (?, ?, ?, ?);
CREATE INDEX temp."stage_key" ON "stage" ("id", "day");
SELECT CASE WHEN "id" IS NULL THEN 1 ELSE 0 END, CASE WHEN "day" IS NULL THEN 1 ELSE 0 END, COUNT(*) FROM "stage" GROUP BY 1, 2;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM (SELECT "id", "day" FROM "w"."daily flights" WHERE 0 UNION ALL SELECT "id", "day" FROM "stage") AS s GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
SELECT "id", "day", "dq_rows", SUM("dq_rows" - 1) OVER (), COUNT(*) OVER () FROM (SELECT "id", "day", COUNT(*) AS "dq_rows" FROM (SELECT "id", "day" FROM "w"."daily flights" WHERE 0 UNION ALL SELECT "id", "day" FROM "stage") AS s WHERE "id" IS NOT NULL AND "day" IS NOT NULL GROUP BY "id", "day" HAVING COUNT(*) > 1) AS d ORDER BY "dq_rows" DESC, "id", "day" LIMIT 3;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM (SELECT "id", "day", "payload", ROW_NUMBER() OVER (PARTITION BY "id" ORDER BY "day" DESC NULLS LAST, "id" DESC NULLS LAST, "payload" DESC NULLS LAST) AS "dq_rank" FROM (SELECT "id", "day", "payload" FROM "w"."daily flights" WHERE 0 UNION ALL SELECT "id", "day", "payload" FROM "stage") AS s WHERE "id" IS NOT NULL) AS r WHERE "dq_rank" = 1;
CREATE TEMP TABLE "kept" AS SELECT "id", "day", "payload" FROM "stage" WHERE "id" IS NOT NULL;
DROP TABLE IF EXISTS "stage";
