-- Postgres 8.0's catalogs, as Redshift has them: a column that came later fails, as it does there.
CREATE VIEW rs.hidden_schemas AS
SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('rs', 'rs_information_schema', 'rs_views', 'pg_toast');

CREATE VIEW rs.pg_namespace AS
SELECT oid, nspname, nspowner, nspacl FROM pg_catalog.pg_namespace WHERE oid NOT IN (SELECT oid FROM rs.hidden_schemas);

-- NULL of a table that is dropped meanwhile, which Postgres cannot open to name its columns.
CREATE FUNCTION rs.definition_of(constraint_oid oid, name name) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF name LIKE 'rs!_bytes!_%' ESCAPE '!' THEN
        RETURN NULL;
    END IF;
    RETURN pg_catalog.pg_get_constraintdef(constraint_oid);
EXCEPTION WHEN internal_error THEN
    RETURN NULL;
END $$;

CREATE VIEW rs.pg_constraint AS
SELECT con.oid, con.conname, con.connamespace, marked.type::"char" AS contype, false AS condeferrable, false AS condeferred,
    con.conrelid, con.contypid, coalesce(marked.parent, 0)::oid AS confrelid, ' '::"char" AS confupdtype,
    ' '::"char" AS confdeltype, ' '::"char" AS confmatchtype, con.conkey,
    CASE marked.type WHEN 'f' THEN coalesce(
        (SELECT array_agg(rs.number_of(marked.parent, key)::smallint ORDER BY position)
         FROM jsonb_array_elements_text(marked.columns::jsonb) WITH ORDINALITY AS keys (key, position)),
        (SELECT other.conkey FROM pg_catalog.pg_constraint AS other WHERE other.conrelid = marked.parent
         AND rs.definition_of(other.oid, other.conname) LIKE 'CHECK ((rs.informational(''p''%')) END AS confkey,
    NULL::text AS conbin, NULL::text AS consrc
FROM pg_catalog.pg_constraint AS con
CROSS JOIN LATERAL (
    SELECT substring(definition FROM '^CHECK [(][(]rs[.]informational[(]''(.)''') AS type,
        coalesce(substring(definition FROM '''([[][^'']*[]])''::text'), '[]') AS columns
    FROM (SELECT rs.definition_of(con.oid, con.conname) AS definition OFFSET 0) AS defined
) AS text
CROSS JOIN LATERAL (
    SELECT text.type, text.columns, CASE text.type WHEN 'f' THEN coalesce(
        (SELECT refobjid FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_constraint'::regclass AND objid = con.oid
         AND refclassid = 'pg_catalog.pg_class'::regclass AND refobjid <> con.conrelid LIMIT 1), con.conrelid) END AS parent
) AS marked
WHERE con.contype = 'c' AND con.conrelid <> 0 AND marked.type IS NOT NULL;

CREATE VIEW rs.pg_class AS
SELECT c.oid, c.relname, c.relnamespace, c.reltype, c.relowner, c.relam, c.relfilenode, c.reltablespace, c.relpages,
    greatest(c.reltuples, 0.001)::real AS reltuples, c.reltoastrelid, 0::oid AS reltoastidxid, false AS relhasindex,
    c.relisshared, c.relkind, CASE WHEN rs.recorded(c.oid) ? 'late_binding' THEN 0 ELSE c.relnatts END::smallint AS relnatts,
    0::smallint AS relchecks, 0::smallint AS reltriggers, 0::smallint AS relukeys, 0::smallint AS relfkeys,
    0::smallint AS relrefs, false AS relhasoids,
    EXISTS (SELECT FROM rs.pg_constraint AS con WHERE con.conrelid = c.oid AND con.contype = 'p') AS relhaspkey,
    c.relhasrules, c.relhassubclass, c.relacl,
    CASE coalesce(rs.recorded(c.oid) ->> 'diststyle', 'AUTO')
        WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 10 END::smallint AS reldiststyle
FROM pg_catalog.pg_class AS c
WHERE c.relkind IN ('r', 'v') AND c.relnamespace NOT IN (SELECT oid FROM rs.hidden_schemas);

CREATE VIEW rs.pg_attribute AS
SELECT a.attrelid, a.attname, a.atttypid, coalesce(a.attstattarget, -1) AS attstattarget, a.attlen, a.attnum,
    a.attndims::int AS attndims, -1 AS attcacheoff, a.atttypmod, a.attbyval, a.attstorage, a.attalign, a.attnotnull,
    a.atthasdef OR a.attidentity <> '' AS atthasdef, a.attisdropped, a.attislocal, a.attinhcount::int AS attinhcount,
    coalesce((rs.recorded(a.attrelid) ->> 'distkey')::int = a.attnum, false) AS attisdistkey,
    coalesce(array_position(ARRAY(SELECT jsonb_array_elements_text(rs.recorded(a.attrelid) -> 'sortkeys')),
                            a.attnum::text), 0) AS attsortkeyord,
    CASE coalesce(rs.recorded(a.attrelid) -> 'encodings' ->> a.attnum::text, 'none')
        WHEN 'none' THEN 0 WHEN 'raw' THEN 0 WHEN 'bytedict' THEN 257 WHEN 'delta' THEN 258 WHEN 'delta32k' THEN 259
        WHEN 'lzo' THEN 262 WHEN 'runlength' THEN 256 WHEN 'mostly8' THEN 265 WHEN 'zstd' THEN 272 WHEN 'az64' THEN 273
        ELSE 1 END::smallint AS attencodingtype
FROM pg_catalog.pg_attribute AS a JOIN rs.pg_class AS c ON c.oid = a.attrelid;

CREATE VIEW rs.pg_type AS
SELECT oid, CASE WHEN oid = 'rs.super'::regtype THEN 'super'::name ELSE typname END AS typname, typnamespace, typowner,
    typlen, typbyval, typtype, typisdefined, typdelim, typrelid, typelem, typinput, typoutput, typreceive, typsend,
    typanalyze, typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typdefault
FROM pg_catalog.pg_type;

CREATE VIEW rs.pg_attrdef AS
SELECT d.adrelid, d.adnum, pg_get_expr(d.adbin, d.adrelid) AS adbin, pg_get_expr(d.adbin, d.adrelid) AS adsrc
FROM pg_catalog.pg_attrdef AS d JOIN rs.pg_class AS c ON c.oid = d.adrelid
UNION ALL
SELECT a.attrelid, a.attnum, source, source
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_depend AS owned ON owned.refobjid = a.attrelid AND owned.refobjsubid = a.attnum
    AND owned.classid = 'pg_catalog.pg_class'::regclass AND owned.deptype = 'i'
JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = owned.objid
CROSS JOIN LATERAL (SELECT format(
    CASE a.attidentity WHEN 'a' THEN '"identity"(%s, %s, ''%s,%s''::text)' ELSE 'default_identity(%s, %s, ''%s,%s''::text)' END,
    a.attrelid, a.attnum - 1, s.seqstart, s.seqincrement) AS source) AS text
WHERE a.attidentity <> '';

CREATE FUNCTION rs.column_names(relation oid, numbers smallint[]) RETURNS text STABLE LANGUAGE sql RETURN (
    SELECT string_agg(quote_ident(rs.name_of(relation, number)), ', ' ORDER BY position)
    FROM unnest(numbers) WITH ORDINALITY AS n (number, position));
CREATE FUNCTION rs.pg_get_constraintdef(constraint_oid oid) RETURNS text STABLE LANGUAGE sql RETURN (
    SELECT CASE contype WHEN 'p' THEN 'PRIMARY KEY (' WHEN 'u' THEN 'UNIQUE (' ELSE 'FOREIGN KEY (' END
        || rs.column_names(conrelid, conkey) || ')'
        || CASE contype WHEN 'f' THEN ' REFERENCES ' || confrelid::regclass::text
               || coalesce('(' || rs.column_names(confrelid, confkey) || ')', '') ELSE '' END
    FROM rs.pg_constraint WHERE oid = constraint_oid);
CREATE FUNCTION rs.pg_get_constraintdef(constraint_oid oid, pretty boolean) RETURNS text STABLE LANGUAGE sql
RETURN rs.pg_get_constraintdef(constraint_oid);

CREATE VIEW rs.pg_depend AS
SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_catalog.pg_depend
WHERE NOT (refclassid = 'pg_catalog.pg_proc'::regclass
           AND refobjid IN (SELECT oid FROM pg_catalog.pg_proc WHERE pronamespace IN (SELECT oid FROM rs.hidden_schemas)));
CREATE VIEW rs.pg_rewrite AS
SELECT oid, rulename, ev_class, (-1)::smallint AS ev_attr, ev_type, is_instead, ev_qual::text, ev_action::text
FROM pg_catalog.pg_rewrite;
CREATE VIEW rs.pg_description AS SELECT objoid, classoid, objsubid, description FROM pg_catalog.pg_description;
CREATE VIEW rs.pg_user AS
SELECT rolname AS usename, oid::int AS usesysid, rolcreatedb AS usecreatedb, rolsuper AS usesuper, false AS usecatupd,
    '********'::text AS passwd, rolvaliduntil AS valuntil, rolconfig AS useconfig
FROM pg_catalog.pg_roles WHERE rolcanlogin;
CREATE VIEW rs.pg_user_info AS SELECT *, NULL::text AS useconnlimit FROM rs.pg_user;
CREATE VIEW rs.pg_group AS
SELECT groname, grosysid::int AS grosysid, grolist FROM pg_catalog.pg_group
WHERE groname NOT LIKE 'pg!_%' ESCAPE '!' AND coalesce(shobj_description(grosysid, 'pg_authid'), '') <> 'role';
CREATE VIEW rs.pg_views AS
SELECT n.nspname AS schemaname, c.relname AS viewname, pg_get_userbyid(c.relowner) AS viewowner,
    rs.pg_get_viewdef(c.oid) AS definition
FROM rs.pg_class AS c JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'v';
CREATE VIEW rs.pg_tables AS
SELECT n.nspname AS schemaname, c.relname AS tablename, pg_get_userbyid(c.relowner) AS tableowner, NULL::name AS tablespace,
    false AS hasindexes, c.relhasrules AS hasrules, false AS hastriggers
FROM rs.pg_class AS c JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
CREATE VIEW rs.pg_proc AS
SELECT oid, proname, pronamespace, proowner, prolang, proretset, provolatile, pronargs, prorettype, proargtypes, prosrc, proacl
FROM pg_catalog.pg_proc WHERE pronamespace NOT IN (SELECT oid FROM rs.hidden_schemas);
CREATE VIEW rs.pg_database AS
SELECT oid, datname, datdba, encoding, datistemplate, datallowconn, datacl FROM pg_catalog.pg_database;
-- Redshift has no indexes.
CREATE VIEW rs.pg_index AS
SELECT indexrelid, indrelid, indkey, indclass, indnatts, indisunique, indisprimary, indisclustered
FROM pg_catalog.pg_index WHERE false;

CREATE VIEW rs.pg_table_def AS
SELECT n.nspname AS schemaname, c.relname AS tablename, a.attname AS "column", rs.format_type(a.atttypid, a.atttypmod) AS type,
    coalesce(rs.recorded(c.oid) -> 'encodings' ->> a.attnum::text, 'none') AS encoding, a.attisdistkey AS distkey,
    a.attsortkeyord AS sortkey, a.attnotnull AS "notnull"
FROM rs.pg_class AS c JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace
JOIN rs.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND n.nspname = ANY (current_schemas(false));

CREATE VIEW rs_information_schema.tables AS SELECT * FROM information_schema.tables
WHERE table_schema NOT IN ('rs', 'rs_information_schema', 'rs_views');
CREATE VIEW rs_information_schema.columns AS
SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
    CASE WHEN domain_name = 'super' THEN 'super' ELSE data_type::text END AS data_type, character_maximum_length,
    character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision
FROM information_schema.columns WHERE table_schema NOT IN ('rs', 'rs_information_schema', 'rs_views');
CREATE VIEW rs_information_schema.views AS SELECT * FROM information_schema.views
WHERE table_schema NOT IN ('rs', 'rs_information_schema', 'rs_views');
CREATE VIEW rs_information_schema.schemata AS SELECT * FROM information_schema.schemata
WHERE schema_name NOT IN ('rs', 'rs_information_schema', 'rs_views');
CREATE VIEW rs_information_schema.table_constraints AS
SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, con.conname AS constraint_name,
    current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
    CASE con.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE 'FOREIGN KEY' END AS constraint_type,
    'NO' AS is_deferrable, 'NO' AS initially_deferred
FROM rs.pg_constraint AS con JOIN rs.pg_class AS c ON c.oid = con.conrelid JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace;
CREATE VIEW rs_information_schema.key_column_usage AS
SELECT current_database() AS constraint_catalog, n.nspname AS constraint_schema, con.conname AS constraint_name,
    current_database() AS table_catalog, n.nspname AS table_schema, c.relname AS table_name,
    rs.name_of(con.conrelid, keys.number) AS column_name, keys.position::int AS ordinal_position
FROM rs.pg_constraint AS con JOIN rs.pg_class AS c ON c.oid = con.conrelid JOIN rs.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(con.conkey) WITH ORDINALITY AS keys (number, position);
