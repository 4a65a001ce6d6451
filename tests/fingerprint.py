"""What Postgres' catalog says of a table and of everything below and on it, as lines of text.

Written without a look at the package's own list of features, and the other way round: a row of the catalog counts as a
whole, but for the fields that are named here. https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

import json
from typing import Any, LiteralString

import psycopg

_RELATIONS = """
WITH RECURSIVE tree AS (
  SELECT to_regclass(%s)::oid AS oid
  UNION SELECT inhrelid FROM pg_inherits, tree WHERE inhparent = tree.oid
)
SELECT oid, oid::regclass::text FROM tree ORDER BY 2
"""

# Left out: numbers of objects, where they are stored, what VACUUM and ANALYZE count, gaps that dropped columns left,
# flags that say "there was once" (relhassubclass …), triggers of constraints, whose names are numbers, and what is
# said in words beside.
_SECTIONS: dict[str, LiteralString] = {
    "relation": """
        SELECT to_jsonb(c) - '{oid,relfilenode,reltype,relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,
                               relminmxid,reltoastrelid,relnatts,relhassubclass,relhastriggers,relacl,relowner,
                               relnamespace,relam,reltablespace,reloftype,relpartbound}'::text[]
            || jsonb_build_object(
               'owner', c.relowner::regrole::text, 'schema', c.relnamespace::regnamespace::text,
               'method', (SELECT amname FROM pg_am WHERE oid = c.relam),
               'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
               'of type', nullif(c.reloftype, 0)::regtype::text, 'bound', pg_get_expr(c.relpartbound, c.oid),
               'comment', obj_description(c.oid, 'pg_class'),
               'toast options', (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid))
        FROM pg_class c WHERE c.oid = %(oid)s""",
    "row type": """
        SELECT jsonb_build_object('name', t.typname, 'owner', t.typowner::regrole::text, 'acl', t.typacl::text,
                                  'array', (SELECT typname FROM pg_type WHERE oid = t.typarray),
                                  'comment', obj_description(t.oid, 'pg_type'))
        FROM pg_type t WHERE t.typrelid = %(oid)s""",
    "privilege": """
        SELECT to_jsonb(e) || jsonb_build_object('grantor', e.grantor::regrole::text,
                                                 'grantee', e.grantee::regrole::text)
        FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e WHERE c.oid = %(oid)s""",
    "column privilege": """
        SELECT to_jsonb(e) || jsonb_build_object('grantor', e.grantor::regrole::text, 'column', a.attname,
                                                 'grantee', e.grantee::regrole::text)
        FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attrelid = %(oid)s""",
    "column": """
        SELECT to_jsonb(a) - '{attrelid,attnum,attcacheoff,attacl,atthasmissing,attmissingval,atttypid,attcollation}'
                             ::text[]
            || jsonb_build_object(
               'position', row_number() OVER (ORDER BY a.attnum), 'type', format_type(a.atttypid, a.atttypmod),
               'collation', nullif(a.attcollation, 0)::regcollation::text,
               'default', (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                           WHERE adrelid = a.attrelid AND adnum = a.attnum),
               'comment', col_description(a.attrelid, a.attnum))
        FROM pg_attribute a WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped""",
    "index": """
        SELECT to_jsonb(x) - '{indexrelid,indrelid,indkey,indexprs,indpred,indcheckxmin}'::text[]
            || jsonb_build_object(
               'name', i.relname, 'definition', pg_get_indexdef(i.oid), 'options', i.reloptions,
               'owner', i.relowner::regrole::text, 'persistence', i.relpersistence,
               'tablespace', (SELECT spcname FROM pg_tablespace WHERE oid = i.reltablespace),
               'parent', (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = i.oid),
               'comment', obj_description(i.oid, 'pg_class'),
               'statistics', (SELECT jsonb_agg(to_jsonb(a) -> 'attstattarget' ORDER BY attnum) FROM pg_attribute a
                              WHERE attrelid = i.oid))
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %(oid)s""",
    "constraint": """
        SELECT to_jsonb(k) - '{oid,conrelid,contypid,conindid,conparentid,confrelid,conkey,confkey,conpfeqop,conppeqop,
                               conffeqop,confdelsetcols,conexclop,conbin}'::text[]
            || jsonb_build_object(
               'on', k.conrelid::regclass::text, 'definition', pg_get_constraintdef(k.oid),
               'index', nullif(k.conindid, 0)::regclass::text, 'comment', obj_description(k.oid, 'pg_constraint'))
        FROM pg_constraint k WHERE %(oid)s IN (k.conrelid, k.confrelid)""",
    "sequence": """
        SELECT to_jsonb(p) - 'seqrelid' || jsonb_build_object(
               'name', s.oid::regclass::text, 'how', d.deptype, 'owner', s.relowner::regrole::text,
               'acl', s.relacl::text,
               'column', (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid),
               'persistence', s.relpersistence, 'comment', obj_description(s.oid, 'pg_class'))
        FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND d.classid = 'pg_class'::regclass
        JOIN pg_sequence p ON p.seqrelid = s.oid
        WHERE d.refobjid = %(oid)s AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')""",
    "trigger": """
        SELECT jsonb_build_object('definition', pg_get_triggerdef(t.oid), 'enabled', t.tgenabled,
                                  'comment', obj_description(t.oid, 'pg_trigger'))
        FROM pg_trigger t WHERE t.tgrelid = %(oid)s AND NOT t.tgisinternal""",
    "rule": """
        SELECT jsonb_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)
        FROM pg_rewrite r WHERE r.ev_class = %(oid)s""",
    "policy": """
        SELECT to_jsonb(p) FROM pg_policies p JOIN pg_class c ON c.oid = %(oid)s
        WHERE (p.schemaname, p.tablename) = (c.relnamespace::regnamespace::text, c.relname)""",
    "publication": """
        SELECT to_jsonb(p) FROM pg_publication_tables p JOIN pg_class c ON c.oid = %(oid)s
        WHERE (p.schemaname, p.tablename) = (c.relnamespace::regnamespace::text, c.relname)""",
    "extended statistics": """
        SELECT jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid), 'owner', s.stxowner::regrole::text,
                                  'target', to_jsonb(s) -> 'stxstattarget')
        FROM pg_statistic_ext s WHERE s.stxrelid = %(oid)s""",
    "inheritance": """
        SELECT jsonb_build_object('child', inhrelid::regclass::text, 'parent', inhparent::regclass::text,
                                  'at', inhseqno)
        FROM pg_inherits WHERE %(oid)s IN (inhrelid, inhparent)""",
    "security label": """
        SELECT to_jsonb(l) FROM pg_seclabels l WHERE l.objoid = %(oid)s""",
    "dependent": """
        WITH own AS (
          SELECT 'pg_class'::regclass::oid AS class, %(oid)s::oid AS oid
          UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = %(oid)s
          UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typrelid = %(oid)s
          UNION ALL SELECT 'pg_type'::regclass, typarray FROM pg_type WHERE typrelid = %(oid)s
          UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid = %(oid)s
        )
        SELECT DISTINCT to_jsonb(pg_describe_object(d.classid, d.objid, d.objsubid))
        FROM own JOIN pg_depend d ON d.refclassid = own.class AND d.refobjid = own.oid
        WHERE pg_describe_object(d.classid, d.objid, d.objsubid) NOT LIKE '%%pg_toast%%'
          AND NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
                          AND t.tgisinternal)""",
}


def fingerprint(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """The table's and its children's objects, one sorted line each, so that a difference is a line of the diff."""
    relations = connection.execute(_RELATIONS, [table]).fetchall()
    assert relations[0][0] is not None, f"{table} does not exist"
    return [
        f"{name}: {section}: {json.dumps(detail, sort_keys=True, ensure_ascii=False)}"
        for oid, name in relations
        for section, query in _SECTIONS.items()
        for (detail,) in sorted(connection.execute(query, {"oid": oid}), key=str)
    ]
