-- What Redshift keeps of a table and Postgres does not. It lies in pg_seclabel: a catalog takes no part in the
-- serializable transactions' checks, is rolled back with them, and loses a table's row when the table is dropped.
CREATE SCHEMA rs;
CREATE SCHEMA rs_information_schema;
CREATE SCHEMA rs_views;
GRANT USAGE ON SCHEMA rs, rs_information_schema, rs_views TO PUBLIC;
GRANT CREATE ON SCHEMA rs_views TO PUBLIC;
CREATE DOMAIN rs.super AS jsonb;

CREATE FUNCTION rs.raise(code text, message text, detail text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', message USING ERRCODE = code, DETAIL = coalesce(detail, '');
END $$;

CREATE FUNCTION rs.recorded(relation oid) RETURNS jsonb STABLE LANGUAGE sql
RETURN (SELECT label::jsonb FROM pg_catalog.pg_seclabel
        WHERE objoid = relation AND classoid = 'pg_catalog.pg_class'::regclass AND objsubid = 0 AND provider = 'redshift');

CREATE FUNCTION rs.write(relation oid, value jsonb) RETURNS void LANGUAGE plpgsql
SECURITY DEFINER SET allow_system_table_mods = on AS $$
BEGIN
    DELETE FROM pg_catalog.pg_seclabel
    WHERE objoid = relation AND classoid = 'pg_catalog.pg_class'::regclass AND objsubid = 0 AND provider = 'redshift';
    INSERT INTO pg_catalog.pg_seclabel (objoid, classoid, objsubid, provider, label)
    VALUES (relation, 'pg_catalog.pg_class'::regclass, 0, 'redshift', value::text);
END $$;

CREATE FUNCTION rs.number_of(relation oid, name text) RETURNS int STABLE LANGUAGE plpgsql AS $$
DECLARE
    number int;
BEGIN
    IF name IS NULL OR name = '' THEN
        RETURN NULL;
    END IF;
    SELECT attnum INTO number FROM pg_catalog.pg_attribute
    WHERE attrelid = relation AND attname = name AND attnum > 0 AND NOT attisdropped;
    IF number IS NULL THEN
        RAISE EXCEPTION 'column "%" named in key does not exist', name USING ERRCODE = '42703';
    END IF;
    RETURN number;
END $$;

-- Names become numbers, so that they follow ALTER TABLE RENAME COLUMN.
CREATE FUNCTION rs.numbered(relation oid, given jsonb) RETURNS jsonb STABLE LANGUAGE plpgsql AS $$
DECLARE
    result jsonb := '{}';
BEGIN
    IF given ? 'diststyle' THEN
        result := result || jsonb_build_object(
            'diststyle', given ->> 'diststyle', 'distkey', rs.number_of(relation, given ->> 'distkey'));
    END IF;
    IF given ? 'sortkeys' THEN
        result := result || jsonb_build_object('sortkeys', (
            SELECT coalesce(jsonb_agg(rs.number_of(relation, key) ORDER BY position), '[]')
            FROM jsonb_array_elements_text(given -> 'sortkeys') WITH ORDINALITY AS keys (key, position)));
    END IF;
    RETURN result || jsonb_build_object('encodings', (
        SELECT coalesce(jsonb_object_agg(rs.number_of(relation, key), value), '{}')
        FROM jsonb_each_text(given -> 'encodings') AS encodings (key, value)));
END $$;

-- In Redshift, the length of a VARCHAR counts bytes.
CREATE FUNCTION rs.limit_bytes(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changes text;
BEGIN
    SELECT string_agg(
        CASE WHEN con.oid IS NULL THEN '' ELSE format('DROP CONSTRAINT %I, ', con.conname) END
        || format('ADD CONSTRAINT %I CHECK (octet_length(rtrim(%I::text)) <= %s)',
                  'rs_bytes_' || att.attnum || '_' || att.atttypmod - 4, att.attname, att.atttypmod - 4), ', ')
    INTO changes
    FROM pg_catalog.pg_attribute AS att
    LEFT JOIN pg_catalog.pg_constraint AS con
        ON con.conrelid = att.attrelid AND con.conname LIKE 'rs!_bytes!_' || att.attnum || '!_%' ESCAPE '!'
    WHERE att.attrelid = relation AND att.attnum > 0 AND NOT att.attisdropped AND att.atttypmod > 4
        AND att.atttypid IN ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype)
        AND con.conname IS DISTINCT FROM 'rs_bytes_' || att.attnum || '_' || att.atttypmod - 4;
    IF changes IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s %s', relation, changes);
    END IF;
END $$;

CREATE FUNCTION rs.record(relation regclass, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- CREATE TABLE IF NOT EXISTS leaves an existing table as it is.
    IF rs.recorded(relation) IS NULL THEN
        PERFORM rs.write(relation, rs.numbered(relation, attributes));
        PERFORM rs.limit_bytes(relation);
    END IF;
END $$;

CREATE FUNCTION rs.record_like(relation regclass, parent regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    attributes jsonb := rs.recorded(parent);
BEGIN
    IF rs.recorded(relation) IS NULL AND attributes IS NOT NULL THEN
        PERFORM rs.write(relation, rs.numbered(relation, jsonb_build_object(
            'diststyle', attributes -> 'diststyle',
            'distkey', rs.name_of(parent, (attributes ->> 'distkey')::int),
            'sortkeys', (SELECT coalesce(jsonb_agg(rs.name_of(parent, key::int) ORDER BY position), '[]')
                         FROM jsonb_array_elements_text(attributes -> 'sortkeys') WITH ORDINALITY AS k (key, position)),
            'encodings', (SELECT coalesce(jsonb_object_agg(rs.name_of(parent, key::int), value), '{}')
                          FROM jsonb_each_text(attributes -> 'encodings') AS e (key, value)
                          WHERE rs.name_of(parent, key::int) IS NOT NULL))));
        PERFORM rs.limit_bytes(relation);
    END IF;
END $$;

CREATE FUNCTION rs.name_of(relation oid, number int) RETURNS text STABLE LANGUAGE sql
RETURN (SELECT attname::text FROM pg_catalog.pg_attribute
        WHERE attrelid = relation AND attnum = number AND NOT attisdropped);

CREATE FUNCTION rs.alter_record(relation regclass, changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    current jsonb := coalesce(rs.recorded(relation), '{"diststyle": "AUTO", "sortkeys": [], "encodings": {}}');
    numbered jsonb := rs.numbered(relation, changes);
BEGIN
    PERFORM rs.write(relation, current || numbered
        || jsonb_build_object('encodings', (current -> 'encodings') || (numbered -> 'encodings')));
    PERFORM rs.limit_bytes(relation);
END $$;

-- A PRIMARY KEY, UNIQUE or FOREIGN KEY of Redshift is a CHECK that always holds: so it has an oid and a comment,
-- follows renames, and a foreign key makes its table depend on the other one.
CREATE FUNCTION rs.informational(type text, parent regclass, parent_columns text) RETURNS boolean
IMMUTABLE LANGUAGE sql RETURN true;

CREATE FUNCTION rs.add_constraint(relation regclass, name text, type text, columns jsonb, parent text, parent_columns text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    other regclass := nullif(parent, '')::regclass;
BEGIN
    IF type = 'p' AND EXISTS (SELECT FROM rs.pg_constraint WHERE conrelid = relation AND contype = 'p') THEN
        RAISE EXCEPTION 'multiple primary keys for table "%" are not allowed', relation USING ERRCODE = '42P16';
    END IF;
    EXECUTE format(
        'ALTER TABLE %s ADD CONSTRAINT %I CHECK (rs.informational(%L, %s, %L) OR num_nulls(%s) > 0)',
        relation, name, type,
        CASE WHEN other IS NULL OR other = relation THEN 'NULL' ELSE format('%L::regclass', other) END, parent_columns,
        (SELECT string_agg(quote_ident(key), ', ' ORDER BY position)
         FROM jsonb_array_elements_text(columns) WITH ORDINALITY AS k (key, position)));
END $$;

CREATE FUNCTION rs.refuse_nullable(relation regclass, columns jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    nullable text;
BEGIN
    SELECT attname INTO nullable FROM pg_catalog.pg_attribute
    WHERE attrelid = relation AND columns ? attname::text AND NOT attnotnull AND NOT attisdropped;
    IF nullable IS NOT NULL THEN
        RAISE EXCEPTION 'column "%" of the primary key is not NOT NULL', nullable USING ERRCODE = '0A000';
    END IF;
END $$;

-- ALTER TABLE APPEND moves the rows; columns must match but for IGNOREEXTRA and FILLTARGET.
CREATE FUNCTION rs.append(target regclass, source regclass, option text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    common text;
    extra text;
    lacking text;
BEGIN
    SELECT string_agg(quote_ident(s.attname), ', ') FILTER (WHERE t.attname IS NOT NULL AND s.attname IS NOT NULL),
           min(s.attname::text) FILTER (WHERE t.attname IS NULL), min(t.attname::text) FILTER (WHERE s.attname IS NULL)
    INTO common, extra, lacking
    FROM (SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = source AND attnum > 0 AND NOT attisdropped) AS s
    FULL JOIN (SELECT attname FROM pg_catalog.pg_attribute
               WHERE attrelid = target AND attnum > 0 AND NOT attisdropped) AS t ON s.attname = t.attname;
    IF extra IS NOT NULL AND option <> 'IGNOREEXTRA' THEN
        RAISE EXCEPTION 'column "%" of the source table is not in the target table', extra USING ERRCODE = '42703';
    ELSIF lacking IS NOT NULL AND option <> 'FILLTARGET' THEN
        RAISE EXCEPTION 'column "%" of the target table is not in the source table', lacking USING ERRCODE = '42703';
    END IF;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s', target, common, common, source);
    EXECUTE format('TRUNCATE TABLE %s', source);
END $$;

-- Neither needs to do more here than to fail on a table that is not there.
CREATE FUNCTION rs.vacuum(relation regclass) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION rs.analyze(relation regclass) RETURNS void LANGUAGE sql AS '';

-- Nobody writes to a view.
CREATE FUNCTION rs.refuse_write_to_view() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cannot % a view',
        CASE TG_OP WHEN 'INSERT' THEN 'insert into' WHEN 'UPDATE' THEN 'update' ELSE 'delete from' END
        USING ERRCODE = '0A000';
END $$;
CREATE FUNCTION rs.protect_view(view regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER rs_protect INSTEAD OF INSERT OR UPDATE OR DELETE ON %s'
                   ' FOR EACH ROW EXECUTE FUNCTION rs.refuse_write_to_view()', view);
END $$;

-- A late-binding view calls a function that holds the query as text, so that the view depends on no table.
CREATE FUNCTION rs.create_late_binding_view(
    view text, columns text, query text, original text, or_replace boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    probe text := 'rs_probe_' || md5(random()::text);
    signature text;
BEGIN
    BEGIN
        EXECUTE format('CREATE TEMP VIEW %I %s AS %s', probe, CASE columns WHEN '' THEN '' ELSE '(' || columns || ')' END, query);
    EXCEPTION WHEN undefined_table OR invalid_schema_name THEN
        RAISE EXCEPTION 'the double does not model late-binding views over tables that are not there: %', SQLERRM
            USING ERRCODE = '0A000';
    END;
    SELECT string_agg(format('%I %s', attname, pg_catalog.format_type(atttypid, atttypmod)), ', ' ORDER BY attnum)
    INTO signature FROM pg_catalog.pg_attribute WHERE attrelid = probe::regclass AND attnum > 0;
    EXECUTE format('DROP VIEW pg_temp.%I', probe);
    EXECUTE format('CREATE FUNCTION rs_views.%I() RETURNS TABLE (%s) LANGUAGE plpgsql SECURITY DEFINER AS %L',
        probe, signature, format('#variable_conflict use_column BEGIN RETURN QUERY EXECUTE %s; END', quote_literal(query)));
    EXECUTE format('CREATE %s VIEW %s AS SELECT * FROM rs_views.%I()',
        CASE WHEN or_replace THEN 'OR REPLACE' ELSE '' END, view, probe);
    PERFORM rs.protect_view(view::regclass);
    PERFORM rs.write(view::regclass, jsonb_build_object('late_binding', format(
        'create view %s as %s with no schema binding;', view, original)));
END $$;
