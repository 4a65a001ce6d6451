"""The functions that Redshift documents; every other one does not exist.

https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.upper().split())


# Postgres computes them as Redshift does.
NATIVE = _names("""
    any_value bit_and bit_or bool_and bool_or count max min sum stddev stddev_pop stddev_samp var_pop var_samp variance
    percentile_cont percentile_disc corr
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
    coalesce nullif greatest least cast
    abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees exp floor ln log mod pi power radians random round sign
    sin sqrt tan
    ascii bpcharcmp btrim bttext_pattern_cmp char_length character_length chr concat initcap left length
    lower lpad ltrim
    md5 octet_length position quote_ident quote_literal regexp_count regexp_instr regexp_substr repeat replace
    reverse right rpad rtrim split_part strpos substr substring to_hex translate trim upper overlay
    date_trunc extract isfinite to_char to_date to_number to_timestamp timeofday age now
    exists any some all row
    grouping grouping_id
    current_database current_schema current_schemas current_user session_user user version
    has_column_privilege has_database_privilege has_schema_privilege has_table_privilege
    pg_backend_pid pg_cancel_backend pg_terminate_backend txid_current
    col_description obj_description pg_get_userbyid pg_get_expr
    array_to_string array_upper array_lower array_dims generate_series pg_is_in_recovery
""")

# Functions of the schema rs, in which Postgres computes something else or nothing.
REDIRECTED = {
    name: f"rs.{name.lower()}"
    for name in _names("""
        avg getdate dateadd datediff date_part date_part_year last_day add_months convert_timezone date_cmp trunc
        nvl2 charindex regexp_replace json_parse json_serialize json_extract_path_text json_array_length
        json_extract_array_element_text is_valid_json is_valid_json_array can_json_parse json_typeof
        get_array_length is_array is_object textlen
        sha2 fnv_hash checksum strtol
        pg_last_copy_count pg_last_copy_id pg_last_query_id current_setting set_config
        format_type pg_get_constraintdef pg_get_viewdef pg_table_is_visible
    """)
} | {
    "NVL": "coalesce",
    "ISNULL": "coalesce",
    "LEN": "length",
    "DLOG1": "ln",
    "DLOG10": "log",
    "POW": "power",
    "DATE_ADD": "rs.dateadd",
    "DATE_DIFF": "rs.datediff",
    "TRUNC": "rs.trunc",
}

# Documented functions whose results the double cannot give.
NOT_MODELLED = _names("""
    decode convert ratio_to_report months_between next_day interval_cmp timestamp_cmp timestamp_cmp_date
    date_cmp_timestamp timezone array object array_concat array_flatten subarray split_to_array
    get_number_attributes lower_attribute_names upper_attribute_names object_transform json_size is_bigint is_boolean
    is_char is_decimal is_float is_integer is_scalar is_smallint is_varchar hll hll_cardinality hll_combine
    hll_combine_agg hll_create_sketch hll_estimate farmfingerprint64 from_hex from_varbyte to_varbyte soundex difference
    collate crc32 sha sha1 func_sha1 pg_get_cols pg_get_late_binding_view_cols pg_get_iam_role_by_user
    pg_get_grantee_by_iam_role pg_last_unload_count pg_last_unload_id role_is_member_of user_is_member_of
    has_assumerole_privilege last_user_query_id slice_num current_aws_account current_namespace
    current_user_id st_geomfromtext st_astext st_distance st_contains st_point st_x st_y
""")

# https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions_leader_node_only.html
LEADER_ONLY = _names("""
    current_schema current_schemas has_database_privilege has_schema_privilege has_table_privilege has_column_privilege
    age now isfinite localtime localtimestamp generate_series format_type pg_get_constraintdef
    pg_get_viewdef pg_get_userbyid pg_get_expr pg_table_is_visible obj_description col_description array_to_string
    array_upper array_lower array_dims
""")

# Rewritten where they stand: redshift_double.expressions.
REWRITTEN = _names("listagg median")

# Words that a parenthesis follows without a call.
SYNTAX = _names("""
    in values as any all some exists and or not select from where using on when then else case by over group within
    having limit offset union intersect except minus join set into table with between like ilike similar to is partition
    rollup cube sets interval begin distinct return key primary unique foreign references default identity with
    varchar nvarchar nchar char character varying bpchar numeric decimal dec timestamp timestamptz time timetz float
    varbyte varbinary binary bit precision add column insert only end asc desc filter primary encode distkey sortkey
    compound interleaved duplicates explain verbose
""")

# Date parts that stand unquoted in DATEADD and its like.
DATE_PARTS = _names("""
    millennium millennia mil mils century centuries c cent cents decade decades dec decs year years y yr yrs
    quarter quarters qtr qtrs month months mon mons week weeks w dow dw dayofweek weekday doy dy dayofyear yearday
    day days d hour hours h hr hrs minute minutes m min mins second seconds s sec secs
    millisecond milliseconds ms msec msecs msecond mseconds microsecond microseconds microsec microsecs us usec usecs
    epoch timezone timezone_hour timezone_minute
""")
TAKES_DATE_PART = _names("dateadd datediff date_part date_add date_diff date_trunc")

# Types that may be cast to; upper-case first words. The last line is the leader's own.
CAST_TYPES = _names("""
    smallint int2 integer int int4 bigint int8 decimal numeric dec real float4 double float float8 boolean bool
    char character nchar bpchar varchar nvarchar text date time timetz timestamp timestamptz datetime super interval
    varbyte varbinary binary
    name oid abstime information_schema
""") | {'"'}
COLUMN_TYPES = CAST_TYPES - _names("name oid abstime information_schema") - {'"'}
TYPES_NOT_MODELLED = _names("geometry geography hllsketch varbyte varbinary binary")

# Relations of the system. Everything else with these prefixes is refused.
SYSTEM_PREFIXES = ("PG_", "SVV_", "SVL_", "STL_", "STV_", "SVCS_", "SYS_")
CATALOGS = _names("""
    pg_class pg_attribute pg_type pg_namespace pg_attrdef pg_constraint pg_depend pg_rewrite pg_description pg_user
    pg_group pg_views pg_tables pg_proc pg_database pg_index
""")
SYSTEM_VIEWS = _names("""
    pg_table_def pg_user_info svv_table_info svv_relation_privileges svv_column_privileges svv_tables svv_columns
    stv_sessions
    svv_transactions stv_locks stl_load_errors sys_load_error_detail svv_rls_relation svv_rls_attached_policy
    svv_attached_masking_policy svv_roles svv_user_grants svv_default_privileges svv_schema_privileges stv_recents
    svv_external_columns svv_external_partitions
""")
SYSTEM_NOT_MODELLED = _names("""
    stl_query stl_querytext svl_qlog stv_tbl_perm stv_blocklist stv_inflight stl_scan stl_wlm_query svv_external_tables
    svv_external_schemas stl_s3client stl_load_commits stv_slices
    svv_vacuum_progress svv_vacuum_summary svv_mv_info svv_datashares svv_all_tables svv_all_columns svv_redshift_tables
    svv_redshift_columns sys_query_history sys_load_history sys_query_detail svl_statementtext stl_ddltext
    stl_utilitytext stv_mv_info stl_analyze stl_vacuum pg_database_info
""")
INFORMATION_SCHEMA = _names("tables columns table_constraints key_column_usage views schemata referential_constraints")

# https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html: the value False means that Postgres
# lacks the parameter, so that the double keeps it under redshift.<name>.
PARAMETERS = {
    **dict.fromkeys(
        (
            "datestyle",
            "extra_float_digits",
            "search_path",
            "statement_timeout",
            "timezone",
            "client_encoding",
            "application_name",
            "transaction_read_only",
            "default_transaction_read_only",
        ),
        True,
    ),
    **dict.fromkeys(
        (
            "analyze_threshold_percent",
            "cast_super_null_on_error",
            "default_geometry_encoding",
            "describe_field_name_in_uppercase",
            "downcase_delimited_identifier",
            "enable_case_sensitive_identifier",
            "enable_numeric_rounding",
            "enable_result_cache_for_session",
            "enable_vacuum_boost",
            "error_on_nondeterministic_update",
            "json_serialization_enable",
            "json_serialization_parse_nested_strings",
            "navigate_super_null_on_error",
            "query_group",
            "stored_proc_log_min_messages",
            "wlm_query_slot_count",
        ),
        False,
    ),
}
