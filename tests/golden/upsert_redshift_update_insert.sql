-- all
BEGIN;
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day";  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- all, unchanged rows skipped
BEGIN;
DELETE FROM "stage" USING "w"."daily flights" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" AND ("w"."daily flights"."say ""hi""" = "stage"."say ""hi""" OR ("w"."daily flights"."say ""hi""" IS NULL AND "stage"."say ""hi""" IS NULL)) AND ("w"."daily flights"."fare" = "stage"."fare" OR ("w"."daily flights"."fare" IS NULL AND "stage"."fare" IS NULL));  -- skip what is unchanged
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day";  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- new rows only
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day");  -- insert what is new
COMMIT;

-- NULL in keys
BEGIN;
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" AND "stage"."id" IS NOT NULL AND "stage"."day" IS NOT NULL;  -- update
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NOT NULL AND "stage"."day" IS NULL;  -- update
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" IS NULL AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NULL AND "stage"."day" IS NULL;  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day") AND s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" IS NULL) AND s."id" IS NOT NULL AND s."day" IS NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" IS NULL AND t."day" IS NULL) AND s."id" IS NULL AND s."day" IS NULL;  -- insert what is new
COMMIT;

-- NULL in keys, unchanged rows skipped
BEGIN;
DELETE FROM "stage" USING "w"."daily flights" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" AND "stage"."id" IS NOT NULL AND "stage"."day" IS NOT NULL AND ("w"."daily flights"."say ""hi""" = "stage"."say ""hi""" OR ("w"."daily flights"."say ""hi""" IS NULL AND "stage"."say ""hi""" IS NULL)) AND ("w"."daily flights"."fare" = "stage"."fare" OR ("w"."daily flights"."fare" IS NULL AND "stage"."fare" IS NULL));  -- skip what is unchanged
DELETE FROM "stage" USING "w"."daily flights" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NOT NULL AND "stage"."day" IS NULL AND ("w"."daily flights"."say ""hi""" = "stage"."say ""hi""" OR ("w"."daily flights"."say ""hi""" IS NULL AND "stage"."say ""hi""" IS NULL)) AND ("w"."daily flights"."fare" = "stage"."fare" OR ("w"."daily flights"."fare" IS NULL AND "stage"."fare" IS NULL));  -- skip what is unchanged
DELETE FROM "stage" USING "w"."daily flights" WHERE "w"."daily flights"."id" IS NULL AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NULL AND "stage"."day" IS NULL AND ("w"."daily flights"."say ""hi""" = "stage"."say ""hi""" OR ("w"."daily flights"."say ""hi""" IS NULL AND "stage"."say ""hi""" IS NULL)) AND ("w"."daily flights"."fare" = "stage"."fare" OR ("w"."daily flights"."fare" IS NULL AND "stage"."fare" IS NULL));  -- skip what is unchanged
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" AND "stage"."id" IS NOT NULL AND "stage"."day" IS NOT NULL;  -- update
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NOT NULL AND "stage"."day" IS NULL;  -- update
UPDATE "w"."daily flights" SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" FROM "stage" WHERE "w"."daily flights"."id" IS NULL AND "w"."daily flights"."day" IS NULL AND "stage"."id" IS NULL AND "stage"."day" IS NULL;  -- update
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" = s."day") AND s."id" IS NOT NULL AND s."day" IS NOT NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" = s."id" AND t."day" IS NULL) AND s."id" IS NOT NULL AND s."day" IS NULL;  -- insert what is new
INSERT INTO "w"."daily flights" ("id", "day", "say ""hi""", "fare") SELECT s."id", s."day", s."say ""hi""", s."fare" FROM "stage" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."daily flights" AS t WHERE t."id" IS NULL AND t."day" IS NULL) AND s."id" IS NULL AND s."day" IS NULL;  -- insert what is new
COMMIT;
