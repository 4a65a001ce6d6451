SELECT pg_backend_pid();
SELECT MAX("version") FROM "dataquality"."ledger_version";
BEGIN;
COMMIT;

SELECT n.nspname, c.relname, m.description
FROM pg_description AS m JOIN pg_class AS c ON c.oid = m.objoid AND m.objsubid = 0 AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_user AS u ON u.usename = current_user
WHERE (c.relowner = u.usesysid OR u.usesuper) AND m.description LIKE '{"airflow_dataquality":%' AND n.nspname = 'w'
ORDER BY n.nspname, c.relname
;
SELECT * FROM (
SELECT CAST('2013-02-01' AS DATE) AS ds, 1 AS id, 'x' AS name
) AS q LIMIT 0;
SELECT CAST(process AS VARCHAR) || ' ' || CAST(starttime AS VARCHAR) || ' ' || current_user FROM stv_sessions WHERE process = pg_backend_pid();
BEGIN;
CREATE TABLE "w"."t__dq_stage_#" (LIKE "w"."t" INCLUDING DEFAULTS);
COMMENT ON TABLE "w"."t__dq_stage_#" IS '{"airflow_dataquality": {"role": "stage", "table": "w.t", "partition": "{}", "run_uid": "#", "at": "#", "owner": "# etl"}}';
COMMIT;
SELECT TO_CHAR(CAST('2013-2-1' AS DATE), 'YYYY-MM-DD');
BEGIN READ ONLY;
EXPLAIN SELECT
  COUNT(*),
  COUNT(*) - COUNT("name"),
  COUNT(*) - COUNT(CASE WHEN ("ds" = '2013-02-01') THEN 1 END)
FROM "w"."t__dq_stage_#";
COMMIT;
BEGIN;
INSERT INTO "w"."t__dq_stage_#" ("ds", "id", "name")
SELECT CAST('2013-02-01' AS DATE) AS ds, 1 AS id, 'x' AS name;
COMMIT;
SELECT CAST(SYSDATE AS VARCHAR);
ANALYZE "w"."t__dq_stage_#";
BEGIN READ ONLY;
SELECT
  COUNT(*),
  COUNT(*) - COUNT("name"),
  COUNT(*) - COUNT(CASE WHEN ("ds" = '2013-02-01') THEN 1 END)
FROM "w"."t__dq_stage_#";
COMMIT;
INSERT INTO "dataquality"."check_result" ("run_uid", "table_schema", "table_name", "partition", "check_name", "metric", "column_name", "definition", "value", "value_text", "interval", "expected", "low", "high", "score", "p_value", "status", "severity", "dimension", "reason", "dag_id", "task_id", "run_id", "map_index", "try_number", "checked_at") VALUES ('#', 'w', 't', '{"ds": "2013-02-01"}', 'null_count(name)', 'null_count', 'name', NULL, 0.0, '0', '= 0', NULL, NULL, NULL, NULL, NULL, 'pass', 'error', 'completeness', 'null_count(name) is 0, expected = 0', NULL, NULL, NULL, NULL, NULL, GREATEST(GETDATE(), SYSDATE));
BEGIN;
COMMIT;
BEGIN;
SET LOCAL statement_timeout TO 2000;
LOCK TABLE "w"."t";
SET LOCAL statement_timeout TO DEFAULT;
DELETE FROM "w"."t" WHERE "ds" = '2013-02-01';
INSERT INTO "w"."t" ("ds", "id", "name") SELECT "ds", "id", "name" FROM "w"."t__dq_stage_#";
SELECT TIMEOFDAY();
INSERT INTO "dataquality"."metric" ("run_uid", "table_schema", "table_name", "partition", "column_name", "metric", "value", "state", "measured_at") VALUES ('#', 'w', 't', '{"ds": "2013-02-01"}', NULL, 'row_count', 1.0, 'published', '#'), ('#', 'w', 't', '{"ds": "2013-02-01"}', 'name', 'null_count(name)', 0.0, 'published', '#');
SELECT TIMEOFDAY();
INSERT INTO "dataquality"."publication" ("run_uid", "table_schema", "table_name", "partition", "mode", "rows", "previous_version", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "published_at") VALUES ('#', 'w', 't', '{"ds": "2013-02-01"}', 'overwrite', 1, NULL, 1.0, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, '#');
COMMIT;
ANALYZE "w"."t";

SELECT n.nspname, c.relname, m.description
FROM pg_description AS m JOIN pg_class AS c ON c.oid = m.objoid AND m.objsubid = 0 AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_user AS u ON u.usename = current_user
WHERE (c.relowner = u.usesysid OR u.usesuper) AND m.description LIKE '{"airflow_dataquality":%' AND n.nspname = 'w'
ORDER BY n.nspname, c.relname
;

SELECT n.nspname, c.relname, m.description
FROM pg_description AS m JOIN pg_class AS c ON c.oid = m.objoid AND m.objsubid = 0 AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_user AS u ON u.usename = current_user
WHERE (c.relowner = u.usesysid OR u.usesuper) AND m.description LIKE '{"airflow_dataquality":%' AND n.nspname = 'w'
ORDER BY n.nspname, c.relname
;
BEGIN;
SET LOCAL statement_timeout TO 1000;
DROP TABLE IF EXISTS "w"."t__dq_stage_#";
COMMIT;
SELECT digest FROM "dataquality"."lineage" WHERE "table_schema" = 'w' AND "table_name" = 't' AND "dag_id" IS NULL AND "task_id" IS NULL ORDER BY recorded_at DESC LIMIT 1;
INSERT INTO "dataquality"."lineage" ("run_uid", "table_schema", "table_name", "digest", "reads", "dag_id", "task_id", "run_id", "map_index", "try_number", "recorded_at") VALUES ('#', 'w', 't', '74c65a739b741777', '', NULL, NULL, NULL, NULL, NULL, GREATEST(GETDATE(), SYSDATE));
