-- all
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
MERGE INTO "w"."daily flights" AS t USING "stage" AS s ON t."id" = s."id" AND t."day" = s."day" WHEN MATCHED THEN UPDATE SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" WHEN NOT MATCHED THEN INSERT ("id", "day", "say ""hi""", "fare") VALUES (s."id", s."day", s."say ""hi""", s."fare");  -- insert or update
COMMIT;

-- all, unchanged rows skipped
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
MERGE INTO "w"."daily flights" AS t USING "stage" AS s ON t."id" = s."id" AND t."day" = s."day" WHEN MATCHED AND CAST(ROW(t."say ""hi""", t."fare") AS record) *<> CAST(ROW(s."say ""hi""", s."fare") AS record) THEN UPDATE SET "say ""hi""" = s."say ""hi""", "fare" = s."fare" WHEN NOT MATCHED THEN INSERT ("id", "day", "say ""hi""", "fare") VALUES (s."id", s."day", s."say ""hi""", s."fare");  -- insert or update
COMMIT;

-- new rows only
BEGIN;
SELECT COUNT(t."dq_here"), COUNT(*) - COUNT(t."dq_here") FROM "stage" AS s LEFT JOIN (SELECT "id", "day", 1 AS "dq_here" FROM "w"."daily flights") AS t ON t."id" = s."id" AND t."day" = s."day";  -- count pairs
MERGE INTO "w"."daily flights" AS t USING "stage" AS s ON t."id" = s."id" AND t."day" = s."day" WHEN NOT MATCHED THEN INSERT ("id", "day", "say ""hi""", "fare") VALUES (s."id", s."day", s."say ""hi""", s."fare");  -- insert or update
COMMIT;
