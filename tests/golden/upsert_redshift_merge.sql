-- all
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
MERGE INTO "w"."daily flights" USING "stage" ON "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" WHEN MATCHED THEN UPDATE SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" WHEN NOT MATCHED THEN INSERT ("id", "day", "say ""hi""", "fare") VALUES ("stage"."id", "stage"."day", "stage"."say ""hi""", "stage"."fare");  -- insert or update
COMMIT;

-- all, unchanged rows skipped
BEGIN;
DELETE FROM "stage" USING "w"."daily flights" WHERE "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" AND ("w"."daily flights"."say ""hi""" = "stage"."say ""hi""" OR ("w"."daily flights"."say ""hi""" IS NULL AND "stage"."say ""hi""" IS NULL)) AND ("w"."daily flights"."fare" = "stage"."fare" OR ("w"."daily flights"."fare" IS NULL AND "stage"."fare" IS NULL));  -- skip what is unchanged
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
MERGE INTO "w"."daily flights" USING "stage" ON "w"."daily flights"."id" = "stage"."id" AND "w"."daily flights"."day" = "stage"."day" WHEN MATCHED THEN UPDATE SET "say ""hi""" = "stage"."say ""hi""", "fare" = "stage"."fare" WHEN NOT MATCHED THEN INSERT ("id", "day", "say ""hi""", "fare") VALUES ("stage"."id", "stage"."day", "stage"."say ""hi""", "stage"."fare");  -- insert or update
COMMIT;
