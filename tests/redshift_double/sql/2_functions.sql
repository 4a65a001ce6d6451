-- Functions that Postgres lacks, or in which it differs. Bodies are parsed here once (RETURN …), so that a session's
-- standard_conforming_strings = off does not change them.
CREATE FUNCTION rs.getdate() RETURNS timestamp STABLE LANGUAGE sql
RETURN date_trunc('second', statement_timestamp() AT TIME ZONE 'UTC');
CREATE FUNCTION rs.sysdate() RETURNS timestamp STABLE LANGUAGE sql RETURN transaction_timestamp() AT TIME ZONE 'UTC';

CREATE FUNCTION rs.part(given text) RETURNS text IMMUTABLE LANGUAGE sql RETURN (
    SELECT CASE
        WHEN part IN ('y', 'yr', 'yrs', 'years') THEN 'year' WHEN part IN ('qtr', 'qtrs', 'quarters') THEN 'quarter'
        WHEN part IN ('mon', 'mons', 'months') THEN 'month' WHEN part IN ('w', 'weeks') THEN 'week'
        WHEN part IN ('d', 'days') THEN 'day' WHEN part IN ('h', 'hr', 'hrs', 'hours') THEN 'hour'
        WHEN part IN ('m', 'min', 'mins', 'minutes') THEN 'minute' WHEN part IN ('s', 'sec', 'secs', 'seconds') THEN 'second'
        WHEN part IN ('ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisecond', 'milliseconds') THEN 'milliseconds'
        WHEN part IN ('us', 'usec', 'usecs', 'microsec', 'microsecs', 'microsecond', 'microseconds') THEN 'microseconds'
        WHEN part IN ('dayofweek', 'weekday', 'dw') THEN 'dow' WHEN part IN ('dayofyear', 'yearday', 'dy') THEN 'doy'
        ELSE part END
    FROM (SELECT lower(given) AS part) AS given_part);

CREATE FUNCTION rs.dateadd(part text, amount bigint, moment timestamp) RETURNS timestamp IMMUTABLE LANGUAGE sql RETURN
    moment + CASE rs.part(part) WHEN 'quarter' THEN amount * interval '3 months'
        ELSE (amount::text || ' ' || rs.part(part))::interval END;
CREATE FUNCTION rs.dateadd(part text, amount bigint, moment date) RETURNS timestamp IMMUTABLE LANGUAGE sql RETURN
    rs.dateadd(part, amount, moment::timestamp);
CREATE FUNCTION rs.dateadd(part text, amount bigint, moment timestamptz) RETURNS timestamptz IMMUTABLE LANGUAGE sql RETURN
    rs.dateadd(part, amount, moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';

-- DATEDIFF counts the boundaries between the two.
CREATE FUNCTION rs.datediff(part text, a timestamp, b timestamp) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN (
    CASE rs.part(part)
        WHEN 'year' THEN extract(year FROM b) - extract(year FROM a)
        WHEN 'quarter' THEN (extract(year FROM b) - extract(year FROM a)) * 4 + extract(quarter FROM b) - extract(quarter FROM a)
        WHEN 'month' THEN (extract(year FROM b) - extract(year FROM a)) * 12 + extract(month FROM b) - extract(month FROM a)
        WHEN 'week' THEN (date_trunc('week', b + interval '1 day')::date - date_trunc('week', a + interval '1 day')::date) / 7
        WHEN 'day' THEN b::date - a::date
        WHEN 'hour' THEN extract(epoch FROM date_trunc('hour', b) - date_trunc('hour', a)) / 3600
        WHEN 'minute' THEN extract(epoch FROM date_trunc('minute', b) - date_trunc('minute', a)) / 60
        WHEN 'second' THEN extract(epoch FROM date_trunc('second', b) - date_trunc('second', a))
        WHEN 'milliseconds' THEN extract(epoch FROM b - a) * 1000
        WHEN 'microseconds' THEN extract(epoch FROM b - a) * 1000000
    END)::bigint;
CREATE FUNCTION rs.date_part(given text, moment timestamp) RETURNS double precision IMMUTABLE LANGUAGE sql
RETURN pg_catalog.date_part(rs.part(given), moment);
CREATE FUNCTION rs.date_part(given text, moment timestamptz) RETURNS double precision STABLE LANGUAGE sql
RETURN pg_catalog.date_part(rs.part(given), moment);
CREATE FUNCTION rs.date_part_year(day date) RETURNS int IMMUTABLE LANGUAGE sql RETURN extract(year FROM day)::int;
CREATE FUNCTION rs.last_day(day date) RETURNS date IMMUTABLE LANGUAGE sql
RETURN (date_trunc('month', day::timestamp) + interval '1 month - 1 day')::date;
CREATE FUNCTION rs.add_months(moment timestamp, amount bigint) RETURNS timestamp IMMUTABLE LANGUAGE sql
RETURN moment + amount * interval '1 month';
CREATE FUNCTION rs.convert_timezone(source text, target text, moment timestamp) RETURNS timestamp IMMUTABLE LANGUAGE sql
RETURN moment AT TIME ZONE source AT TIME ZONE target;
CREATE FUNCTION rs.convert_timezone(target text, moment timestamp) RETURNS timestamp IMMUTABLE LANGUAGE sql
RETURN moment AT TIME ZONE 'UTC' AT TIME ZONE target;
CREATE FUNCTION rs.date_cmp(a date, b date) RETURNS int IMMUTABLE LANGUAGE sql RETURN sign(a - b)::int;
CREATE FUNCTION rs.trunc(moment timestamp) RETURNS date IMMUTABLE LANGUAGE sql RETURN moment::date;
CREATE FUNCTION rs.trunc(value numeric) RETURNS numeric IMMUTABLE LANGUAGE sql RETURN pg_catalog.trunc(value);
CREATE FUNCTION rs.trunc(value double precision) RETURNS double precision IMMUTABLE LANGUAGE sql RETURN pg_catalog.trunc(value);
CREATE FUNCTION rs.trunc(value numeric, digits int) RETURNS numeric IMMUTABLE LANGUAGE sql RETURN pg_catalog.trunc(value, digits);

CREATE FUNCTION rs.nvl2(value anyelement, otherwise anycompatible, missing anycompatible) RETURNS anycompatible
IMMUTABLE LANGUAGE sql AS 'SELECT CASE WHEN value IS NOT NULL THEN otherwise ELSE missing END';
CREATE FUNCTION rs.charindex(part text, whole text) RETURNS int IMMUTABLE LANGUAGE sql RETURN strpos(whole, part);
CREATE FUNCTION rs.textlen(value text) RETURNS int IMMUTABLE LANGUAGE sql RETURN length(value);
-- REGEXP_REPLACE replaces every occurrence.
CREATE FUNCTION rs.regexp_replace(source text, pattern text, replacement text DEFAULT '') RETURNS text
IMMUTABLE LANGUAGE sql RETURN pg_catalog.regexp_replace(source, pattern, replacement, 'g');
CREATE FUNCTION rs.sha2(value text, bits int) RETURNS text IMMUTABLE LANGUAGE sql RETURN encode(
    CASE bits WHEN 224 THEN sha224(value::bytea) WHEN 384 THEN sha384(value::bytea) WHEN 512 THEN sha512(value::bytea)
    ELSE sha256(value::bytea) END, 'hex');
CREATE FUNCTION rs.strtol(value text, base int) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN (
    SELECT sum((strpos('0123456789abcdefghijklmnopqrstuvwxyz', digit) - 1) * base ^ (length(value) - place))::bigint
    FROM regexp_split_to_table(lower(value), '') WITH ORDINALITY AS digits (digit, place));
-- A likeness: some 64 bits of the value, not Redshift's.
CREATE FUNCTION rs.fnv_hash(value anyelement, seed bigint DEFAULT 0) RETURNS bigint IMMUTABLE LANGUAGE sql
AS 'SELECT hashtextextended(value::text, seed)';
CREATE FUNCTION rs.fnv_hash(value text, seed bigint DEFAULT 0) RETURNS bigint IMMUTABLE LANGUAGE sql
RETURN hashtextextended(value, seed);
CREATE FUNCTION rs.checksum(value text) RETURNS int IMMUTABLE LANGUAGE sql RETURN hashtext(value);
CREATE FUNCTION rs.checksum(value anyelement) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT hashtext(value::text)';

CREATE FUNCTION rs.json_parse(value text) RETURNS rs.super IMMUTABLE LANGUAGE sql RETURN value::jsonb;
CREATE FUNCTION rs.json_serialize(value rs.super) RETURNS text IMMUTABLE LANGUAGE sql RETURN value::text;
CREATE FUNCTION rs.json_typeof(value rs.super) RETURNS text IMMUTABLE LANGUAGE sql RETURN jsonb_typeof(value);
CREATE FUNCTION rs.is_array(value rs.super) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN jsonb_typeof(value) = 'array';
CREATE FUNCTION rs.is_object(value rs.super) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN jsonb_typeof(value) = 'object';
CREATE FUNCTION rs.get_array_length(value rs.super) RETURNS int IMMUTABLE LANGUAGE sql RETURN jsonb_array_length(value);
CREATE FUNCTION rs.json_array_length(value text) RETURNS int IMMUTABLE LANGUAGE sql RETURN json_array_length(value::json);
CREATE FUNCTION rs.json_extract_path_text(value text, VARIADIC path text[]) RETURNS text IMMUTABLE LANGUAGE sql
RETURN coalesce(jsonb_extract_path_text(value::jsonb, VARIADIC path), CASE WHEN value IS NOT NULL THEN '' END);
CREATE FUNCTION rs.json_extract_array_element_text(value text, place int) RETURNS text IMMUTABLE LANGUAGE sql
RETURN value::jsonb ->> place;
CREATE FUNCTION rs.is_valid_json(value text) RETURNS boolean IMMUTABLE LANGUAGE sql
RETURN pg_input_is_valid(value, 'jsonb') AND left(ltrim(value), 1) = '{';
CREATE FUNCTION rs.is_valid_json_array(value text) RETURNS boolean IMMUTABLE LANGUAGE sql
RETURN pg_input_is_valid(value, 'jsonb') AND left(ltrim(value), 1) = '[';
CREATE FUNCTION rs.can_json_parse(value text) RETURNS boolean IMMUTABLE LANGUAGE sql RETURN pg_input_is_valid(value, 'jsonb');

-- AVG of integers is an integer.
CREATE FUNCTION rs.avg_final(state bigint[]) RETURNS bigint IMMUTABLE LANGUAGE sql
RETURN CASE WHEN state[1] > 0 THEN state[2] / state[1] END;
CREATE FUNCTION rs.avg_add(state bigint[], value bigint) RETURNS bigint[] IMMUTABLE STRICT LANGUAGE sql
RETURN ARRAY[state[1] + 1, state[2] + value];
CREATE AGGREGATE rs.avg(smallint) (SFUNC = int2_avg_accum, STYPE = bigint[], INITCOND = '{0,0}', FINALFUNC = rs.avg_final);
CREATE AGGREGATE rs.avg(int) (SFUNC = int4_avg_accum, STYPE = bigint[], INITCOND = '{0,0}', FINALFUNC = rs.avg_final);
CREATE AGGREGATE rs.avg(bigint) (SFUNC = rs.avg_add, STYPE = bigint[], INITCOND = '{0,0}', FINALFUNC = rs.avg_final);
CREATE AGGREGATE rs.avg(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg);
CREATE AGGREGATE rs.avg(real) (SFUNC = float4_accum, STYPE = double precision[], INITCOND = '{0,0,0}', FINALFUNC = float8_avg);
CREATE AGGREGATE rs.avg(double precision) (
    SFUNC = float8_accum, STYPE = double precision[], INITCOND = '{0,0,0}', FINALFUNC = float8_avg);

-- Parameters that Postgres lacks are kept as redshift.<name>.
CREATE FUNCTION rs.default_setting(parameter text) RETURNS text IMMUTABLE LANGUAGE sql RETURN CASE parameter
    WHEN 'analyze_threshold_percent' THEN '10' WHEN 'cast_super_null_on_error' THEN 'on'
    WHEN 'default_geometry_encoding' THEN '1' WHEN 'describe_field_name_in_uppercase' THEN 'off'
    WHEN 'downcase_delimited_identifier' THEN 'on' WHEN 'enable_case_sensitive_identifier' THEN 'off'
    WHEN 'enable_numeric_rounding' THEN 'off' WHEN 'enable_result_cache_for_session' THEN 'on'
    WHEN 'enable_vacuum_boost' THEN 'off' WHEN 'error_on_nondeterministic_update' THEN 'off'
    WHEN 'json_serialization_enable' THEN 'off' WHEN 'json_serialization_parse_nested_strings' THEN 'off'
    WHEN 'navigate_super_null_on_error' THEN 'on' WHEN 'query_group' THEN 'unset'
    WHEN 'stored_proc_log_min_messages' THEN 'log' WHEN 'wlm_query_slot_count' THEN '1' END;
CREATE FUNCTION rs.setting_name(parameter text) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
    IF rs.default_setting(lower(parameter)) IS NOT NULL THEN
        RETURN 'redshift.' || lower(parameter);
    ELSIF lower(parameter) IN (
        'datestyle', 'extra_float_digits', 'search_path', 'statement_timeout', 'timezone', 'client_encoding',
        'application_name', 'transaction_read_only', 'default_transaction_read_only', 'transaction_isolation',
        'server_version', 'is_superuser', 'session_authorization') THEN
        RETURN lower(parameter);
    END IF;
    RAISE EXCEPTION 'unrecognized configuration parameter "%"', parameter USING ERRCODE = '42704';
END $$;
CREATE FUNCTION rs.current_setting(parameter text) RETURNS text STABLE LANGUAGE sql RETURN
    CASE WHEN lower(parameter) = 'server_version' THEN '8.0.2'
    ELSE coalesce(nullif(pg_catalog.current_setting(rs.setting_name(parameter), true), ''),
                  rs.default_setting(lower(parameter)), '') END;
CREATE FUNCTION rs.set_config(parameter text, value text, local boolean) RETURNS text LANGUAGE sql RETURN
    pg_catalog.set_config(rs.setting_name(parameter), value, local);
CREATE FUNCTION rs.pg_last_copy_count() RETURNS bigint STABLE LANGUAGE sql
RETURN coalesce(nullif(pg_catalog.current_setting('redshift.last_copy_count', true), ''), '0')::bigint;
CREATE FUNCTION rs.pg_last_copy_id() RETURNS bigint STABLE LANGUAGE sql
RETURN coalesce(nullif(pg_catalog.current_setting('redshift.last_copy_id', true), ''), '-1')::bigint;
CREATE FUNCTION rs.pg_last_query_id() RETURNS bigint STABLE LANGUAGE sql RETURN -1;

CREATE FUNCTION rs.format_type(type oid, modifier int) RETURNS text STABLE LANGUAGE sql RETURN
    CASE WHEN type = 'rs.super'::regtype THEN 'super' ELSE pg_catalog.format_type(type, modifier) END;
CREATE FUNCTION rs.pg_table_is_visible(relation oid) RETURNS boolean STABLE LANGUAGE sql
RETURN pg_catalog.pg_table_is_visible(relation);
CREATE FUNCTION rs.pg_get_viewdef(relation oid) RETURNS text STABLE LANGUAGE sql
RETURN coalesce(rs.recorded(relation) ->> 'late_binding', pg_catalog.pg_get_viewdef(relation));
CREATE FUNCTION rs.pg_get_viewdef(relation oid, pretty boolean) RETURNS text STABLE LANGUAGE sql
RETURN coalesce(rs.recorded(relation) ->> 'late_binding', pg_catalog.pg_get_viewdef(relation, pretty));
CREATE FUNCTION rs.pg_get_viewdef(relation text) RETURNS text STABLE LANGUAGE sql
RETURN rs.pg_get_viewdef(relation::regclass::oid);

-- Redshift cannot cast a boolean to a string.
CREATE FUNCTION rs.refuse_boolean(value boolean) RETURNS text IMMUTABLE STRICT LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cannot cast type boolean to character varying' USING ERRCODE = '42846';
END $$;
SET allow_system_table_mods = on;
UPDATE pg_catalog.pg_cast SET castfunc = 'rs.refuse_boolean'::regproc
WHERE castsource = 'boolean'::regtype AND casttarget IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
RESET allow_system_table_mods;
