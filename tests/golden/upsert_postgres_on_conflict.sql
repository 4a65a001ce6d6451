-- all
BEGIN;
WITH applied AS (INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare" RETURNING t.xmax = 0 AS inserted) SELECT COUNT(CASE WHEN inserted THEN 1 END), COUNT(CASE WHEN NOT inserted THEN 1 END) FROM applied;  -- insert or update
COMMIT;

-- all, unchanged rows skipped
BEGIN;
WITH applied AS (INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare" WHERE CAST(ROW(t."say ""hi""", t."fare") AS record) *<> CAST(ROW(excluded."say ""hi""", excluded."fare") AS record) RETURNING t.xmax = 0 AS inserted) SELECT COUNT(CASE WHEN inserted THEN 1 END), COUNT(CASE WHEN NOT inserted THEN 1 END) FROM applied;  -- insert or update
COMMIT;

-- new rows only
BEGIN;
WITH applied AS (INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO NOTHING RETURNING t.xmax = 0 AS inserted) SELECT COUNT(CASE WHEN inserted THEN 1 END), COUNT(CASE WHEN NOT inserted THEN 1 END) FROM applied;  -- insert or update
COMMIT;

-- into a partitioned table
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare";  -- insert or update
COMMIT;
