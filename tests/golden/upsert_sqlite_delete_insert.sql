-- all
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day");  -- delete what is replaced
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage";  -- insert
COMMIT;

-- all, unchanged rows skipped
BEGIN;
DELETE FROM "stage" AS s WHERE EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day" AND t."say ""hi""" IS s."say ""hi""" COLLATE BINARY AND t."fare" IS s."fare" COLLATE BINARY);  -- skip what is unchanged
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day");  -- delete what is replaced
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage";  -- insert
COMMIT;

-- new rows only
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- NULL in keys
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day" WHERE s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" IS NULL WHERE s."id" IS NOT NULL AND s."day" IS NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" IS NULL AND t."day" IS NULL WHERE s."id" IS NULL AND s."day" IS NULL;  -- count pairs
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day" AND s."id" IS NOT NULL AND s."day" IS NOT NULL);  -- delete what is replaced
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" IS NULL AND s."id" IS NOT NULL AND s."day" IS NULL);  -- delete what is replaced
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" IS NULL AND t."day" IS NULL AND s."id" IS NULL AND s."day" IS NULL);  -- delete what is replaced
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage";  -- insert
COMMIT;

-- NULL in keys, unchanged rows skipped
BEGIN;
DELETE FROM "stage" AS s WHERE EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day" AND s."id" IS NOT NULL AND s."day" IS NOT NULL AND t."say ""hi""" IS s."say ""hi""" COLLATE BINARY AND t."fare" IS s."fare" COLLATE BINARY);  -- skip what is unchanged
DELETE FROM "stage" AS s WHERE EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" IS NULL AND s."id" IS NOT NULL AND s."day" IS NULL AND t."say ""hi""" IS s."say ""hi""" COLLATE BINARY AND t."fare" IS s."fare" COLLATE BINARY);  -- skip what is unchanged
DELETE FROM "stage" AS s WHERE EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" IS NULL AND t."day" IS NULL AND s."id" IS NULL AND s."day" IS NULL AND t."say ""hi""" IS s."say ""hi""" COLLATE BINARY AND t."fare" IS s."fare" COLLATE BINARY);  -- skip what is unchanged
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day" WHERE s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" IS NULL WHERE s."id" IS NOT NULL AND s."day" IS NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" IS NULL AND t."day" IS NULL WHERE s."id" IS NULL AND s."day" IS NULL;  -- count pairs
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day" AND s."id" IS NOT NULL AND s."day" IS NOT NULL);  -- delete what is replaced
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" = s."id" AND t."day" IS NULL AND s."id" IS NOT NULL AND s."day" IS NULL);  -- delete what is replaced
DELETE FROM "w"."daily flights" AS t WHERE EXISTS (SELECT 1 FROM "stage" AS s WHERE t."id" IS NULL AND t."day" IS NULL AND s."id" IS NULL AND s."day" IS NULL);  -- delete what is replaced
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT "id", "day", "say ""hi""", "fare" FROM "stage";  -- insert
COMMIT;
