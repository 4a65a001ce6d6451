-- all
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare";  -- insert or update
COMMIT;

-- all, unchanged rows skipped
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare" WHERE (t."say ""hi""" IS NOT excluded."say ""hi""" COLLATE BINARY OR t."fare" IS NOT excluded."fare" COLLATE BINARY);  -- insert or update
COMMIT;

-- new rows only
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO NOTHING;  -- insert or update
COMMIT;

-- into a partitioned table
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" AS t ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage" WHERE TRUE ON CONFLICT ("id", "day") DO UPDATE SET "say ""hi""" = excluded."say ""hi""", "fare" = excluded."fare";  -- insert or update
COMMIT;
