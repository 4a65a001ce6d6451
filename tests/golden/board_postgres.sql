-- whether anything happened since
SELECT (SELECT MAX(published_at) FROM "dataquality"."publication"), (SELECT MAX(checked_at) FROM "dataquality"."check_run");

-- the overview
WITH RECURSIVE newest_publication AS (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE table_schema IS NOT NULL ORDER BY table_schema DESC, table_name DESC, dag_id DESC, published_at DESC LIMIT 1)
UNION ALL
SELECT n."table_schema", n."table_name", n."partition", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."run_uid", n."state", n."at" FROM newest_publication CROSS JOIN LATERAL (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE newest_publication.dag_id IS NULL AND table_schema = newest_publication.table_schema AND table_name = newest_publication.table_name AND dag_id IS NOT NULL ORDER BY dag_id DESC, published_at DESC LIMIT 1)
UNION ALL (SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE (table_schema, table_name, dag_id) < (newest_publication.table_schema, newest_publication.table_name, newest_publication.dag_id) ORDER BY table_schema DESC, table_name DESC, dag_id DESC, published_at DESC LIMIT 1)
LIMIT 1
) AS n
),
newest_check_run AS (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE table_schema IS NOT NULL ORDER BY table_schema DESC, table_name DESC, dag_id DESC, checked_at DESC LIMIT 1)
UNION ALL
SELECT n."table_schema", n."table_name", n."partition", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."run_uid", n."state", n."at" FROM newest_check_run CROSS JOIN LATERAL (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE newest_check_run.dag_id IS NULL AND table_schema = newest_check_run.table_schema AND table_name = newest_check_run.table_name AND dag_id IS NOT NULL ORDER BY dag_id DESC, checked_at DESC LIMIT 1)
UNION ALL (SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE (table_schema, table_name, dag_id) < (newest_check_run.table_schema, newest_check_run.table_name, newest_check_run.dag_id) ORDER BY table_schema DESC, table_name DESC, dag_id DESC, checked_at DESC LIMIT 1)
LIMIT 1
) AS n
),
newest_publication_bare AS (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE table_schema IS NULL ORDER BY table_name DESC, dag_id DESC, published_at DESC LIMIT 1)
UNION ALL
SELECT n."table_schema", n."table_name", n."partition", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."run_uid", n."state", n."at" FROM newest_publication_bare CROSS JOIN LATERAL (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE newest_publication_bare.dag_id IS NULL AND table_schema IS NULL AND table_name = newest_publication_bare.table_name AND dag_id IS NOT NULL ORDER BY dag_id DESC, published_at DESC LIMIT 1)
UNION ALL (SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", 'published' AS "state", published_at AS "at" FROM "dataquality"."publication" WHERE table_schema IS NULL AND (table_name, dag_id) < (newest_publication_bare.table_name, newest_publication_bare.dag_id) ORDER BY table_name DESC, dag_id DESC, published_at DESC LIMIT 1)
LIMIT 1
) AS n
),
newest_check_run_bare AS (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE table_schema IS NULL ORDER BY table_name DESC, dag_id DESC, checked_at DESC LIMIT 1)
UNION ALL
SELECT n."table_schema", n."table_name", n."partition", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."run_uid", n."state", n."at" FROM newest_check_run_bare CROSS JOIN LATERAL (
(SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE newest_check_run_bare.dag_id IS NULL AND table_schema IS NULL AND table_name = newest_check_run_bare.table_name AND dag_id IS NOT NULL ORDER BY dag_id DESC, checked_at DESC LIMIT 1)
UNION ALL (SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state" AS "state", checked_at AS "at" FROM "dataquality"."check_run" WHERE table_schema IS NULL AND (table_name, dag_id) < (newest_check_run_bare.table_name, newest_check_run_bare.dag_id) ORDER BY table_name DESC, dag_id DESC, checked_at DESC LIMIT 1)
LIMIT 1
) AS n
)
SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM newest_publication
UNION ALL SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM newest_check_run AS c
WHERE NOT EXISTS (SELECT 1 FROM newest_publication AS p WHERE p.table_schema = c.table_schema AND p.table_name = c.table_name AND p.dag_id IS NOT DISTINCT FROM c.dag_id AND p."at" > c."at")
UNION ALL SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM newest_publication_bare
UNION ALL SELECT "table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "run_uid", "state", "at" FROM newest_check_run_bare AS c
WHERE NOT EXISTS (SELECT 1 FROM newest_publication_bare AS p WHERE p.table_name = c.table_name AND p.dag_id IS NOT DISTINCT FROM c.dag_id AND p."at" > c."at");

-- its open failures
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" AS r WHERE (state = 'rejected' OR (state = 'observed' AND (failed > 0 OR errored > 0))) AND checked_at >= '2013-02-01 00:00:00+00:00'
AND (SELECT 1 FROM "dataquality"."publication" AS n WHERE n.table_schema = r.table_schema AND n.table_name = r.table_name AND n.partition = r.partition AND n.published_at > r.checked_at LIMIT 1) IS NULL
AND (SELECT 1 FROM "dataquality"."publication" AS n WHERE n.table_schema IS NULL AND r.table_schema IS NULL AND n.table_name = r.table_name AND n.partition = r.partition AND n.published_at > r.checked_at LIMIT 1) IS NULL
AND (SELECT 1 FROM "dataquality"."check_run" AS n WHERE n.table_schema = r.table_schema AND n.table_name = r.table_name AND n.partition = r.partition AND n.checked_at > r.checked_at LIMIT 1) IS NULL
AND (SELECT 1 FROM "dataquality"."check_run" AS n WHERE n.table_schema IS NULL AND r.table_schema IS NULL AND n.table_name = r.table_name AND n.partition = r.partition AND n.checked_at > r.checked_at LIMIT 1) IS NULL
ORDER BY checked_at DESC LIMIT 2000;

-- its strips
SELECT n."run_uid", n."table_schema", n."table_name", n."partition", n."rows", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."task_id", n."run_id", n."map_index", n."try_number", n."state", n."mode", n."kept", n."at" FROM (VALUES ('analytics', 'flights'), ('Ärger.schéma', 'Daily "Flights".v2')) AS t (s, n) CROSS JOIN LATERAL (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at" FROM "dataquality"."publication" WHERE table_schema = t.s AND table_name = t.n AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY published_at DESC LIMIT 30
) AS n
UNION ALL
SELECT n."run_uid", n."table_schema", n."table_name", n."partition", n."rows", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."task_id", n."run_id", n."map_index", n."try_number", n."state", n."mode", n."kept", n."at" FROM (VALUES ('analytics', 'flights'), ('Ärger.schéma', 'Daily "Flights".v2')) AS t (s, n) CROSS JOIN LATERAL (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" WHERE table_schema = t.s AND table_name = t.n AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY checked_at DESC LIMIT 30
) AS n
UNION ALL
SELECT n."run_uid", n."table_schema", n."table_name", n."partition", n."rows", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."task_id", n."run_id", n."map_index", n."try_number", n."state", n."mode", n."kept", n."at" FROM (VALUES (NULL, 'bare')) AS t (s, n) CROSS JOIN LATERAL (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", 'published' AS "state", "mode" AS "mode", "previous_version" AS "kept", published_at AS "at" FROM "dataquality"."publication" WHERE table_schema IS NULL AND table_name = t.n AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY published_at DESC LIMIT 30
) AS n
UNION ALL
SELECT n."run_uid", n."table_schema", n."table_name", n."partition", n."rows", n."score", n."passed", n."warned", n."failed", n."errored", n."skipped", n."dag_id", n."task_id", n."run_id", n."map_index", n."try_number", n."state", n."mode", n."kept", n."at" FROM (VALUES (NULL, 'bare')) AS t (s, n) CROSS JOIN LATERAL (
SELECT "run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed", "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number", "state" AS "state", CAST(NULL AS VARCHAR(10)) AS "mode", "staging_table" AS "kept", checked_at AS "at" FROM "dataquality"."check_run" WHERE table_schema IS NULL AND table_name = t.n AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY checked_at DESC LIMIT 30
) AS n;

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
WITH RECURSIVE names AS (
(SELECT "check_name" FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' ORDER BY "check_name" LIMIT 1)
UNION ALL
SELECT (SELECT "check_name" FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "check_name" > names."check_name" ORDER BY "check_name" LIMIT 1) FROM names WHERE names."check_name" IS NOT NULL
)
SELECT n."check_name", n."value" FROM names CROSS JOIN LATERAL (
SELECT "check_name", "value" FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND "check_name" = names."check_name" AND "check_name" = 'it''s' AND dag_id IS NOT NULL AND (dag_id IS NULL OR dag_id NOT IN ('it''s hidden')) ORDER BY checked_at DESC LIMIT 1
) AS n;

-- their strips
SELECT n."check_name", n."status" FROM (VALUES ('row_count'), ('it''s')) AS t (n) CROSS JOIN LATERAL (
SELECT "check_name", "status" FROM "dataquality"."check_result" WHERE "table_schema" = 'analytics' AND "table_name" = 'flights' AND check_name = t.n AND 1 = 1 ORDER BY checked_at DESC LIMIT 30
) AS n;

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
