-- whether anything happened since
SELECT (SELECT MAX(published_at) FROM "dataquality"."publication"), (SELECT MAX(checked_at) FROM "dataquality"."check_run");

-- the overview
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM (
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name", "dag_id" ORDER BY published_at DESC) AS place FROM "dataquality"."publication"
) AS r WHERE place = 1
UNION ALL
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM (
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name", "dag_id" ORDER BY checked_at DESC) AS place FROM "dataquality"."check_run"
) AS r WHERE place = 1;

-- its open failures
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (
SELECT r.*, ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name", "partition" ORDER BY "at" DESC) AS place FROM (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at" FROM "dataquality"."publication" WHERE published_at >= '2013-02-01 00:00:00+00:00'
UNION ALL
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" WHERE checked_at >= '2013-02-01 00:00:00+00:00'
) AS r
) AS n WHERE place = 1 AND (state = 'rejected' OR (state = 'observed' AND (failed > 0 OR errored > 0)))
ORDER BY "at" DESC LIMIT 2000;

-- its strips
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name" ORDER BY published_at DESC) AS place FROM "dataquality"."publication" WHERE (("table_schema" = 'analytics' AND "table_name" = 'flights') OR ("table_schema" = 'Ärger.schéma' AND "table_name" = 'Daily "Flights".v2') OR ("table_schema" IS NULL AND "table_name" = 'bare')) AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden'))
) AS r WHERE place <= 30
UNION ALL
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name" ORDER BY checked_at DESC) AS place FROM "dataquality"."check_run" WHERE (("table_schema" = 'analytics' AND "table_name" = 'flights') OR ("table_schema" = 'Ärger.schéma' AND "table_name" = 'Daily "Flights".v2') OR ("table_schema" IS NULL AND "table_name" = 'bare')) AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden'))
) AS r WHERE place <= 30;

-- who wrote of a table
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM (
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name", "dag_id" ORDER BY published_at DESC) AS place FROM "dataquality"."publication" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights'
) AS r WHERE place = 1
UNION ALL
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM (
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at", ROW_NUMBER() OVER (PARTITION BY "table_schema", "table_name", "dag_id" ORDER BY checked_at DESC) AS place FROM "dataquality"."check_run" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights'
) AS r WHERE place = 1;

-- its calendar
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at", visible FROM (
SELECT r.*, ROW_NUMBER() OVER (PARTITION BY "partition" ORDER BY "at" DESC) AS place, MAX(CASE WHEN state = 'published' THEN 1 ELSE 0 END) OVER (PARTITION BY "partition") AS visible FROM (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at" FROM "dataquality"."publication" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' ORDER BY published_at DESC LIMIT 20000) AS publication
UNION ALL
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' ORDER BY checked_at DESC LIMIT 20000) AS check_run
) AS r
) AS n WHERE place = 1;

-- one partition
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at" FROM "dataquality"."publication" WHERE "table_schema" = 'Ärger.schéma' AND "table_name" = 'Daily "Flights".v2' AND "partition" = '{"ds": "2013-02-01"}' AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY published_at DESC LIMIT 20) AS publication
UNION ALL
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state", "mode", "kept", "at" FROM (SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" WHERE "table_schema" = 'Ärger.schéma' AND "table_name" = 'Daily "Flights".v2' AND "partition" = '{"ds": "2013-02-01"}' AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY checked_at DESC LIMIT 20) AS check_run;

-- its checks
SELECT "check_name", "value" FROM (
SELECT "check_name", "value", ROW_NUMBER() OVER (PARTITION BY "check_name" ORDER BY checked_at DESC) AS place FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "check_name" = 'it''s' AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden'))
) AS r WHERE place = 1;

-- their strips
SELECT "check_name", "status" FROM (
SELECT "check_name", "status", ROW_NUMBER() OVER (PARTITION BY "check_name" ORDER BY checked_at DESC) AS place FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "check_name" IN ('row_count', 'it''s') AND 1 = 1
) AS r WHERE place <= 30;

-- a check
SELECT "value", "reason" FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "check_name" = 'it''s' AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY checked_at DESC LIMIT 90;

-- which DAG a number is of
SELECT "run_uid", "dag_id" FROM "dataquality"."publication" WHERE run_uid IN ('a', 'b');

-- what people said
SELECT "verdict", "until" FROM "dataquality"."verdict" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND verdict IN ('muted', 'unmuted') ORDER BY given_at;

-- what it reads
SELECT "reads", "dag_id", "recorded_at" FROM (
SELECT "reads", "dag_id", "recorded_at", "run_uid", FIRST_VALUE(run_uid) OVER (PARTITION BY table_schema, table_name, dag_id, task_id ORDER BY recorded_at DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_run FROM "dataquality"."lineage" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights'
) AS r WHERE run_uid = last_run;

-- what reads it
SELECT "table_schema", "table_name", "dag_id", "recorded_at" FROM (
SELECT "table_schema", "table_name", "dag_id", "recorded_at", "run_uid", "reads", FIRST_VALUE(run_uid) OVER (PARTITION BY table_schema, table_name, dag_id, task_id ORDER BY recorded_at DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_run FROM "dataquality"."lineage" WHERE table_name IN (SELECT table_name FROM "dataquality"."lineage" WHERE reads = 'analytics.flights')
) AS r WHERE run_uid = last_run AND reads = 'analytics.flights';

-- what a task last recorded to be read
SELECT digest FROM "dataquality"."lineage" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "dag_id" = 'dag' AND "task_id" IS NULL ORDER BY recorded_at DESC LIMIT 1;
