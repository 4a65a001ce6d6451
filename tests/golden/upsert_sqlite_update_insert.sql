-- all
BEGIN;
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day";  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- all, unchanged rows skipped
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day" AND (t."say ""hi""" IS NOT s."say ""hi""" COLLATE BINARY OR t."fare" IS NOT s."fare" COLLATE BINARY);  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- new rows only
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- NULL in keys
BEGIN;
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day" AND s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- update
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" IS NULL AND s."id" IS NOT NULL AND s."day" IS NULL;  -- update
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" IS NULL AND t."day" IS NULL AND s."id" IS NULL AND s."day" IS NULL;  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day") AND s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" IS NULL) AND s."id" IS NOT NULL AND s."day" IS NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" IS NULL AND t."day" IS NULL) AND s."id" IS NULL AND s."day" IS NULL;  -- insert what is new
COMMIT;

-- NULL in keys, unchanged rows skipped
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day" WHERE s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" IS NULL WHERE s."id" IS NOT NULL AND s."day" IS NULL;  -- count pairs
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" IS NULL AND t."day" IS NULL WHERE s."id" IS NULL AND s."day" IS NULL;  -- count pairs
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" = s."day" AND s."id" IS NOT NULL AND s."day" IS NOT NULL AND (t."say ""hi""" IS NOT s."say ""hi""" COLLATE BINARY OR t."fare" IS NOT s."fare" COLLATE BINARY);  -- update
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" = s."id" AND t."day" IS NULL AND s."id" IS NOT NULL AND s."day" IS NULL AND (t."say ""hi""" IS NOT s."say ""hi""" COLLATE BINARY OR t."fare" IS NOT s."fare" COLLATE BINARY);  -- update
UPDATE "w"."daily flights" AS t SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" FROM "stage" AS s WHERE t."id" IS NULL AND t."day" IS NULL AND s."id" IS NULL AND s."day" IS NULL AND (t."say ""hi""" IS NOT s."say ""hi""" COLLATE BINARY OR t."fare" IS NOT s."fare" COLLATE BINARY);  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day") AND s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" IS NULL) AND s."id" IS NOT NULL AND s."day" IS NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" IS NULL AND t."day" IS NULL) AND s."id" IS NULL AND s."day" IS NULL;  -- insert what is new
COMMIT;
