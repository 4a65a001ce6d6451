SET client_connection_check_interval = '1s';
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT pg_advisory_xact_lock(#);
CREATE INDEX IF NOT EXISTS "publication_table_partition_idx" ON "dataquality"."publication" ("table_schema", "table_name", "partition");
CREATE INDEX IF NOT EXISTS "publication_table_published_at_idx" ON "dataquality"."publication" ("table_schema", "table_name", "published_at");
CREATE INDEX IF NOT EXISTS "publication_table_dag_id_published_at_idx" ON "dataquality"."publication" ("table_schema", "table_name", "dag_id", "published_at");
CREATE INDEX IF NOT EXISTS "publication_published_at_idx" ON "dataquality"."publication" ("published_at");
CREATE INDEX IF NOT EXISTS "publication_dag_id_run_id_idx" ON "dataquality"."publication" ("dag_id", "run_id");
CREATE INDEX IF NOT EXISTS "publication_run_uid_idx" ON "dataquality"."publication" ("run_uid");
CREATE INDEX IF NOT EXISTS "check_run_table_partition_idx" ON "dataquality"."check_run" ("table_schema", "table_name", "partition");
CREATE INDEX IF NOT EXISTS "check_run_table_checked_at_idx" ON "dataquality"."check_run" ("table_schema", "table_name", "checked_at");
CREATE INDEX IF NOT EXISTS "check_run_table_dag_id_checked_at_idx" ON "dataquality"."check_run" ("table_schema", "table_name", "dag_id", "checked_at");
CREATE INDEX IF NOT EXISTS "check_run_checked_at_idx" ON "dataquality"."check_run" ("checked_at");
CREATE INDEX IF NOT EXISTS "check_run_state_failed_errored_checked_at_idx" ON "dataquality"."check_run" ("state", "failed", "errored", "checked_at");
CREATE INDEX IF NOT EXISTS "check_run_dag_id_run_id_idx" ON "dataquality"."check_run" ("dag_id", "run_id");
CREATE INDEX IF NOT EXISTS "check_run_run_uid_idx" ON "dataquality"."check_run" ("run_uid");
CREATE INDEX IF NOT EXISTS "check_result_table_partition_idx" ON "dataquality"."check_result" ("table_schema", "table_name", "partition");
CREATE INDEX IF NOT EXISTS "check_result_table_check_name_checked_at_idx" ON "dataquality"."check_result" ("table_schema", "table_name", "check_name", "checked_at");
CREATE INDEX IF NOT EXISTS "check_result_run_uid_idx" ON "dataquality"."check_result" ("run_uid");
CREATE INDEX IF NOT EXISTS "metric_table_partition_idx" ON "dataquality"."metric" ("table_schema", "table_name", "partition");
CREATE INDEX IF NOT EXISTS "metric_table_metric_measured_at_idx" ON "dataquality"."metric" ("table_schema", "table_name", "metric", "measured_at");
CREATE INDEX IF NOT EXISTS "chunk_backfill_idx" ON "dataquality"."chunk" ("backfill");
CREATE INDEX IF NOT EXISTS "chunk_dag_id_run_id_idx" ON "dataquality"."chunk" ("dag_id", "run_id");
CREATE INDEX IF NOT EXISTS "verdict_table_partition_idx" ON "dataquality"."verdict" ("table_schema", "table_name", "partition");
CREATE INDEX IF NOT EXISTS "lineage_table_recorded_at_idx" ON "dataquality"."lineage" ("table_schema", "table_name", "recorded_at");
CREATE INDEX IF NOT EXISTS "lineage_reads_idx" ON "dataquality"."lineage" ("reads");
CREATE INDEX IF NOT EXISTS "test_test_id_idx" ON "dataquality"."test" ("test_id");
INSERT INTO "dataquality"."ledger_version" ("version") VALUES (4);
COMMIT;
SELECT MAX("version") FROM "dataquality"."ledger_version";
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "w"."t" IN ACCESS SHARE MODE;
EXECUTE airflow_dataquality_features (#);
COMMIT;
SELECT * FROM (
SELECT '2013-02-01' AS ds, i AS id, 'x' || i AS name FROM generate_series(1, 3) AS i
) AS q LIMIT 0;
SELECT pg_advisory_lock(#);
BEGIN ISOLATION LEVEL READ COMMITTED;
CREATE TABLE "w"."t__dq_stage_#" ("ds" date, "id" bigint, "name" text) USING "heap";
COMMENT ON TABLE "w"."t__dq_stage_#" IS '{"airflow_dataquality": {"role": "stage", "table": "w.t", "partition": "{}", "run_uid": "#", "at": "#"}}';
EXECUTE airflow_dataquality_features (#);
COMMIT;
SELECT pg_has_role(current_user, 'postgres', CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END), pg_has_role(current_user, 'postgres', 'USAGE');
BEGIN READ ONLY;
SET LOCAL jit = off;
EXPLAIN SELECT
  COUNT(*),
  COUNT(*) - COUNT("name")
FROM "w"."t__dq_stage_#";
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
INSERT INTO "w"."t__dq_stage_#" ("ds", "id", "name")
SELECT '2013-02-01' AS ds, i AS id, 'x' || i AS name FROM generate_series(1, 3) AS i;
SELECT pg_current_xact_id()::xid::text;
COMMIT;
SELECT clock_timestamp()::text;
SELECT l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND a.pid <> pg_backend_pid() AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.query = '<insufficient privilege>';
ANALYZE "w"."t__dq_stage_#";
BEGIN READ ONLY;
SET LOCAL jit = off;
SELECT
  COUNT(*),
  COUNT(*) - COUNT("name")
FROM "w"."t__dq_stage_#";
COMMIT;
INSERT INTO "dataquality"."check_result" ("run_uid", "table_schema", "table_name", "partition", "check_name", "metric", "column_name", "definition", "value", "value_text", "interval", "expected", "low", "high", "score", "p_value", "status", "severity", "dimension", "reason", "dag_id", "task_id", "run_id", "map_index", "try_number", "checked_at") VALUES ('#', 'w', 't', '{}', 'null_count(name)', 'null_count', 'name', NULL, 0.0, '0', '= 0', NULL, NULL, NULL, NULL, NULL, 'pass', 'error', 'completeness', 'null_count(name) is 0, expected = 0', NULL, NULL, NULL, NULL, NULL, clock_timestamp());
BEGIN ISOLATION LEVEL READ COMMITTED;
LOCK TABLE ONLY "w"."t" IN ACCESS SHARE MODE;
EXECUTE airflow_dataquality_features (#);
COMMIT;
SELECT pg_has_role(current_user, 'postgres', CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END), pg_has_role(current_user, 'postgres', 'USAGE');
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = 0;
SELECT pg_try_advisory_xact_lock(#);
SET LOCAL lock_timeout = 60000;
LOCK TABLE ONLY "w"."t" IN ROW EXCLUSIVE MODE;
SET CONSTRAINTS ALL DEFERRED;
DELETE FROM ONLY "w"."t" AS t WHERE NOT EXISTS (SELECT 1 FROM "w"."t__dq_stage_#" AS s WHERE s."id" = t."id");
UPDATE ONLY "w"."t" AS t SET "ds" = s."ds", "name" = s."name" FROM "w"."t__dq_stage_#" AS s WHERE s."id" = t."id" AND CAST(ROW(t."ds", t."name") AS record) *<> CAST(ROW(s."ds", s."name") AS record);
INSERT INTO "w"."t" ("ds", "id", "name") OVERRIDING SYSTEM VALUE SELECT s."ds", s."id", s."name" FROM "w"."t__dq_stage_#" AS s WHERE NOT EXISTS (SELECT 1 FROM "w"."t" AS t WHERE s."id" = t."id");
INSERT INTO "dataquality"."metric" ("run_uid", "table_schema", "table_name", "partition", "column_name", "metric", "value", "state", "measured_at") VALUES ('#', 'w', 't', '{}', NULL, 'row_count', 3.0, 'published', clock_timestamp()), ('#', 'w', 't', '{}', 'name', 'null_count(name)', 0.0, 'published', clock_timestamp());
INSERT INTO "dataquality"."publication" ("run_uid", "table_schema", "table_name", "partition", "mode", "rows", "previous_version", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "published_at") VALUES ('#', 'w', 't', '{}', 'overwrite', 3, NULL, 1.0, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, clock_timestamp());
COMMIT;
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = 1000;
DROP TABLE IF EXISTS "w"."t__dq_stage_#";
COMMIT;
SELECT pg_advisory_unlock(#);
SELECT digest FROM "dataquality"."lineage" WHERE "table_schema" = 'w' AND "table_name" = 't' AND "dag_id" IS NULL AND "task_id" IS NULL ORDER BY recorded_at DESC LIMIT 1;
INSERT INTO "dataquality"."lineage" ("run_uid", "table_schema", "table_name", "digest", "reads", "dag_id", "task_id", "run_id", "map_index", "try_number", "recorded_at") VALUES ('#', 'w', 't', '04f11f818b53e8f3', '', NULL, NULL, NULL, NULL, NULL, clock_timestamp());
