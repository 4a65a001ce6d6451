-- Redshift's own system views.
CREATE FUNCTION rs.is_superuser() RETURNS boolean STABLE LANGUAGE sql
RETURN (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user);

-- For tests: what svv_table_info says of a table, where a column is not NULL.
CREATE TABLE rs.table_health (
    "schema" text NOT NULL DEFAULT 'public', "table" text NOT NULL, size bigint, unsorted numeric(5, 2),
    stats_off numeric(5, 2), skew_rows numeric(19, 2), PRIMARY KEY ("schema", "table"));

CREATE FUNCTION rs.count_rows(relation regclass) RETURNS bigint STABLE SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s', relation) INTO result;
    RETURN result;
END $$;

CREATE FUNCTION rs.encoded(relation oid) RETURNS text STABLE LANGUAGE sql RETURN
    CASE WHEN coalesce(rs.recorded(relation) -> 'encodings', '{}') = '{}' THEN 'N' ELSE 'Y' END;
CREATE FUNCTION rs.diststyle(relation oid, visible_rows bigint) RETURNS text STABLE LANGUAGE sql RETURN (
    SELECT CASE style WHEN 'KEY' THEN 'KEY(' || rs.name_of(relation, (rs.recorded(relation) ->> 'distkey')::int) || ')'
        WHEN 'AUTO' THEN 'AUTO(ALL)' ELSE style END
    FROM (SELECT coalesce(rs.recorded(relation) ->> 'diststyle', 'AUTO') AS style) AS recorded_style);

-- An empty table has no row, as documented.
CREATE VIEW rs.svv_table_info AS
SELECT current_database()::text AS "database", n.nspname::text AS "schema", c.oid AS table_id, c.relname::text AS "table",
    rs.encoded(c.oid) AS encoded, rs.diststyle(c.oid, counted.total) AS diststyle,
    rs.name_of(c.oid, first_key) AS sortkey1,
    coalesce((SELECT max(a.atttypmod - 4) FROM rs.pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.atttypid = 'varchar'::regtype), 0) AS max_varchar,
    CASE WHEN first_key IS NOT NULL THEN coalesce(rs.recorded(c.oid) -> 'encodings' ->> first_key::text, 'none') END AS sortkey1_enc,
    sortkeys AS sortkey_num, coalesce(h.size, greatest(1, pg_relation_size(c.oid) / 1048576)) AS size,
    0.0001::numeric(10, 4) AS pct_used, 0::bigint AS empty,
    CASE WHEN first_key IS NOT NULL THEN coalesce(h.unsorted, 0) END::numeric(5, 2) AS unsorted,
    coalesce(h.stats_off, CASE WHEN r.reltuples < 0 THEN 100
        ELSE least(100, abs(counted.total - r.reltuples::numeric) * 100 / counted.total) END)::numeric(5, 2) AS stats_off,
    counted.total::numeric(38, 0) AS tbl_rows, NULL::numeric(19, 2) AS skew_sortkey1,
    coalesce(h.skew_rows, CASE rs.recorded(c.oid) ->> 'diststyle' WHEN 'KEY' THEN 1 END)::numeric(19, 2) AS skew_rows,
    counted.total::numeric(38, 0) AS estimated_visible_rows, NULL::text AS risk_event, NULL::numeric(12, 2) AS vacuum_sort_benefit
FROM rs.pg_class AS c
JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname NOT LIKE 'pg!_%' ESCAPE '!' AND n.nspname <> 'information_schema'
JOIN pg_catalog.pg_class AS r ON r.oid = c.oid
CROSS JOIN LATERAL (SELECT CASE WHEN pg_relation_size(c.oid) > 0 THEN rs.count_rows(c.oid) ELSE 0 END AS total OFFSET 0) AS counted
CROSS JOIN LATERAL (SELECT (rs.recorded(c.oid) -> 'sortkeys' ->> 0)::int AS first_key,
    coalesce(jsonb_array_length(rs.recorded(c.oid) -> 'sortkeys'), 0) AS sortkeys) AS keys
LEFT JOIN rs.table_health AS h ON h."schema" = n.nspname AND h."table" = c.relname
WHERE c.relkind = 'r' AND counted.total > 0;

CREATE FUNCTION rs.identity_type(role oid) RETURNS text STABLE LANGUAGE sql RETURN
    CASE WHEN role = 0 THEN 'public' ELSE (
        SELECT CASE WHEN rolcanlogin THEN 'user' WHEN shobj_description(oid, 'pg_authid') = 'role' THEN 'role' ELSE 'group' END
        FROM pg_catalog.pg_roles WHERE oid = role) END;

CREATE VIEW rs.svv_relation_privileges AS
SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, p.privilege_type, p.grantee::int AS identity_id,
    CASE WHEN p.grantee = 0 THEN 'public' ELSE pg_get_userbyid(p.grantee)::text END AS identity_name,
    rs.identity_type(p.grantee) AS identity_type, p.is_grantable AS admin_option
FROM rs.pg_class AS c JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) AS p
WHERE p.privilege_type <> 'MAINTAIN' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (rs.is_superuser() OR p.grantee = 0 OR pg_get_userbyid(p.grantee) = current_user OR pg_get_userbyid(c.relowner) = current_user);
CREATE VIEW rs.svv_column_privileges AS
SELECT n.nspname::text AS namespace_name, c.relname::text AS relation_name, a.attname::text AS column_name, p.privilege_type,
    p.grantee::int AS identity_id, CASE WHEN p.grantee = 0 THEN 'public' ELSE pg_get_userbyid(p.grantee)::text END AS identity_name,
    rs.identity_type(p.grantee) AS identity_type
FROM pg_catalog.pg_attribute AS a JOIN rs.pg_class AS c ON c.oid = a.attrelid JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(a.attacl) AS p
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND (rs.is_superuser() OR p.grantee = 0 OR pg_get_userbyid(p.grantee) = current_user OR pg_get_userbyid(c.relowner) = current_user);
CREATE VIEW rs.svv_schema_privileges AS
SELECT n.nspname::text AS namespace_name, p.privilege_type, p.grantee::int AS identity_id,
    CASE WHEN p.grantee = 0 THEN 'public' ELSE pg_get_userbyid(p.grantee)::text END AS identity_name,
    rs.identity_type(p.grantee) AS identity_type, p.is_grantable AS admin_option
FROM rs.pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS p
WHERE rs.is_superuser() OR p.grantee = 0 OR pg_get_userbyid(p.grantee) = current_user OR pg_get_userbyid(n.nspowner) = current_user;
CREATE VIEW rs.svv_roles AS
SELECT oid::int AS role_id, rolname::text AS role_name, NULL::text AS role_owner FROM pg_catalog.pg_roles
WHERE rs.identity_type(oid) = 'role';

CREATE VIEW rs.svv_tables AS
SELECT table_catalog::text, table_schema::text, table_name::text, table_type::text, NULL::text AS remarks
FROM rs_information_schema.tables;
CREATE VIEW rs.svv_columns AS
SELECT *, NULL::text AS remarks FROM rs_information_schema.columns;

-- Ordinary users see their own sessions and transactions. Names are CHAR(50), padded, as in Redshift.
CREATE FUNCTION rs.activity() RETURNS SETOF pg_catalog.pg_stat_activity STABLE SECURITY DEFINER LANGUAGE sql
RETURN (SELECT NULL::pg_catalog.pg_stat_activity);
CREATE OR REPLACE FUNCTION rs.activity() RETURNS SETOF pg_catalog.pg_stat_activity STABLE SECURITY DEFINER LANGUAGE sql
BEGIN ATOMIC
    SELECT * FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend';
END;
CREATE VIEW rs.stv_sessions AS
SELECT backend_start::timestamp AS starttime, pid AS process, usename::char(50) AS user_name, datname::char(50) AS db_name,
    0 AS timeout_sec
FROM rs.activity() WHERE rs.is_superuser() OR usename = current_user;
CREATE VIEW rs.stv_recents AS
SELECT 'Running'::char(20) AS status, query_start::timestamp AS starttime, 0 AS duration, usename::char(50) AS user_name,
    datname::char(50) AS db_name, query::char(600) AS query, pid
FROM rs.activity() WHERE state = 'active' AND (rs.is_superuser() OR usename = current_user);
-- Redshift has three modes: a writer's, which Postgres asks for in two steps, and those of readers and of LOCK.
CREATE FUNCTION rs.lock_mode(mode text) RETURNS text IMMUTABLE LANGUAGE sql RETURN
    CASE WHEN mode IN ('AccessShareLock', 'AccessExclusiveLock', 'ExclusiveLock') THEN mode
    WHEN mode = 'RowShareLock' THEN 'AccessShareLock' ELSE 'ShareRowExclusiveLock' END;
CREATE VIEW rs.svv_transactions AS
SELECT a.usename::text AS txn_owner, a.datname::text AS txn_db,
    coalesce(a.backend_xid::text::bigint, split_part(l.virtualtransaction, '/', 2)::bigint) AS xid, a.pid,
    a.xact_start::timestamp AS txn_start, rs.lock_mode(l.mode) AS lock_mode,
    CASE l.locktype WHEN 'relation' THEN 'relation' ELSE 'transactionid' END AS lockable_object_type,
    CASE l.locktype WHEN 'relation' THEN l.relation::int END AS relation, l.granted
FROM rs.activity() AS a JOIN pg_catalog.pg_locks AS l ON l.pid = a.pid
WHERE a.xact_start IS NOT NULL AND l.mode <> 'SIReadLock' AND l.locktype IN ('relation', 'virtualxid', 'transactionid')
    AND (l.relation IS NULL OR l.relation >= 16384) AND (rs.is_superuser() OR a.usename = current_user);
CREATE VIEW rs.stv_locks AS
SELECT l.relation::int AS table_id, a.xact_start::timestamp AS last_update, a.pid AS lock_owner_pid,
    coalesce(a.backend_xid::text::bigint, 0) AS lock_owner, rs.lock_mode(l.mode)::char(22) AS lock_status
FROM rs.activity() AS a JOIN pg_catalog.pg_locks AS l ON l.pid = a.pid
WHERE l.locktype = 'relation' AND l.relation >= 16384 AND l.mode <> 'SIReadLock' AND rs.is_superuser();

-- COPY writes here on a connection of its own, because the client's transaction is rolled back.
CREATE TABLE rs.load_errors (
    userid int, slice int, tbl int, starttime timestamp, session int, query bigint, filename char(256), line_number bigint,
    colname char(127), type char(10), col_length char(10), position int, raw_line char(1024), raw_field_value char(1024),
    err_code int, err_reason char(100), is_partial int, start_offset int);
CREATE VIEW rs.stl_load_errors AS
SELECT * FROM rs.load_errors
WHERE rs.is_superuser() OR userid = (SELECT oid::int FROM pg_catalog.pg_roles WHERE rolname = current_user);
CREATE VIEW rs.sys_load_error_detail AS
SELECT userid AS user_id, query AS query_id, session AS session_id, tbl AS table_id, starttime AS start_time, filename AS file_name,
    line_number, colname AS column_name, err_code AS error_code, err_reason AS error_message
FROM rs.stl_load_errors;

-- Without policies, and for superusers only.
CREATE VIEW rs.svv_rls_relation AS
SELECT ''::text AS datname, ''::text AS relschema, ''::text AS relname, ''::text AS relkind, false AS is_rls_on,
    false AS is_rls_datashare_on, ''::text AS rls_conjunction_type WHERE false;
CREATE VIEW rs.svv_rls_attached_policy AS
SELECT ''::text AS relschema, ''::text AS relname, ''::text AS relkind, ''::text AS polname, ''::text AS grantor,
    ''::text AS grantee, ''::text AS granteekind, false AS is_pol_on, false AS is_rls_on WHERE false;
CREATE VIEW rs.svv_attached_masking_policy AS
SELECT ''::text AS policy_name, ''::text AS schema_name, ''::text AS table_name, ''::text AS table_type, ''::text AS grantor,
    ''::text AS grantee, ''::text AS grantee_type, 0 AS priority, ''::text AS input_columns, ''::text AS output_columns
WHERE false;
CREATE VIEW rs.svv_user_grants AS
SELECT m.member::int AS user_id, pg_get_userbyid(m.member)::text AS user_name, m.roleid::int AS role_id,
    pg_get_userbyid(m.roleid)::text AS role_name, m.admin_option
FROM pg_catalog.pg_auth_members AS m WHERE rs.identity_type(m.roleid) = 'role';
CREATE VIEW rs.svv_default_privileges AS
SELECT n.nspname::text AS schema_name, d.defaclrole::int AS owner_id, pg_get_userbyid(d.defaclrole)::text AS owner_name,
    'user'::text AS owner_type, CASE d.defaclobjtype WHEN 'r' THEN 'RELATION' ELSE 'FUNCTION' END AS object_type,
    p.privilege_type, p.grantee::int AS grantee_id, rs.identity_type(p.grantee) AS grantee_type, p.is_grantable AS admin_option
FROM pg_catalog.pg_default_acl AS d LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS p;
-- For tests: external tables, of which the double knows no more than this.
CREATE TABLE rs.svv_external_columns (
    schemaname text, tablename text, columnname text, external_type text, columnnum integer, part_key integer,
    is_nullable text);
CREATE TABLE rs.svv_external_partitions (
    schemaname text, tablename text, "values" text, location text, input_format text, output_format text,
    serialization_lib text, serde_parameters text, compressed integer, parameters text);
GRANT SELECT ON ALL TABLES IN SCHEMA rs, rs_information_schema TO PUBLIC;
REVOKE SELECT ON rs.svv_rls_relation, rs.svv_rls_attached_policy, rs.svv_attached_masking_policy FROM PUBLIC;
