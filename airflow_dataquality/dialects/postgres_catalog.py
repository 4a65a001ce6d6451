"""What Postgres' catalog says of a table: every object on it, as rows of (kind, name, detail).

A *feature* is one such row. The features of a table, taken together, are its fingerprint: exchanging the
table must leave them as they were. https://www.postgresql.org/docs/current/catalogs.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.dialects.questions import Question
from airflow_dataquality.model import Column, Table

# https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE
_CATEGORIES = {"N": "number", "S": "text", "E": "text", "D": "time", "B": "boolean"}

_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), t.typcategory::text,
       a.attgenerated <> '', a.attidentity <> '', coalesce(o.collisdeterministic, true)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
WHERE a.attrelid = pg_catalog.to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

# One statement, so that the features are of one moment. A relation's kind, name and detail are text, so that
# equality is equality of everything the catalog says.
_FEATURES = """
WITH rel AS (
  SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = $1
), seq AS (
  SELECT d.objid, d.refobjsubid, d.deptype FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1
    AND d.deptype IN ('a', 'i')
), own AS (
  SELECT 'pg_class'::regclass::oid AS classid, $1::oid AS objid
  UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_catalog.pg_index WHERE indrelid = $1
  UNION ALL SELECT 'pg_class'::regclass, objid FROM seq
  UNION ALL SELECT 'pg_class'::regclass, reltoastrelid FROM rel
  UNION ALL SELECT 'pg_class'::regclass, x.indexrelid FROM rel JOIN pg_catalog.pg_index x ON x.indrelid = reltoastrelid
  UNION ALL SELECT 'pg_type'::regclass, reltype FROM rel
  UNION ALL SELECT 'pg_type'::regclass, t.typarray FROM rel JOIN pg_catalog.pg_type t ON t.oid = rel.reltype
  UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_catalog.pg_constraint WHERE conrelid = $1
  UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_catalog.pg_attrdef WHERE adrelid = $1
  UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_catalog.pg_trigger WHERE tgrelid = $1
  UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_catalog.pg_policy WHERE polrelid = $1
  UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_catalog.pg_rewrite WHERE ev_class = $1
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_catalog.pg_statistic_ext WHERE stxrelid = $1
  UNION ALL SELECT 'pg_publication_rel'::regclass, oid FROM pg_catalog.pg_publication_rel WHERE prrelid = $1
)
SELECT 'relation', '', jsonb_build_object(
    'kind', c.relkind, 'owner', pg_get_userbyid(c.relowner), 'persistence', c.relpersistence,
    'options', c.reloptions, 'toast_options', (SELECT t.reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
    'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = c.reltablespace),
    'replica_identity', c.relreplident, 'method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
    'row_security', c.relrowsecurity, 'force_row_security', c.relforcerowsecurity,
    'of_type', nullif(c.reloftype, 0)::regtype, 'partition_of', c.relispartition,
    'bound', pg_get_expr(c.relpartbound, c.oid), 'comment', obj_description(c.oid, 'pg_class'))
FROM rel c
UNION ALL
SELECT 'column', a.attname, jsonb_build_object(
    'position', row_number() OVER (ORDER BY a.attnum), 'type', format_type(a.atttypid, a.atttypmod),
    'collation', (SELECT format('%I.%I', n.nspname, o.collname) FROM pg_collation o
                  JOIN pg_namespace n ON n.oid = o.collnamespace
                  WHERE o.oid = a.attcollation AND a.attcollation <> t.typcollation),
    'not_null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity,
    'generated', a.attgenerated, 'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END,
    'compression', to_jsonb(a) ->> 'attcompression', 'statistics', nullif(a.attstattarget, -1),
    'options', a.attoptions, 'comment', col_description(a.attrelid, a.attnum))
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', k.conname, jsonb_build_object(
    'type', k.contype, 'definition', pg_get_constraintdef(k.oid), 'index', k.conindid <> 0,
    'validated', k.convalidated, 'comment', obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k WHERE k.conrelid = $1 AND k.contype IN ('c', 'p', 'u', 'x', 'n')
UNION ALL
SELECT 'index', i.relname, jsonb_build_object(
    'definition', substr(pg_get_indexdef(x.indexrelid), strpos(pg_get_indexdef(x.indexrelid), ' USING ') + 1),
    'prefix', CASE WHEN pg_get_indexdef(x.indexrelid) LIKE 'CREATE UNIQUE INDEX %' THEN 'unique' ELSE '' END,
    'constraint', (SELECT k.conname FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = $1
                   AND k.contype IN ('p', 'u', 'x')),
    'valid', x.indisvalid AND x.indisready, 'clustered', x.indisclustered, 'replica_identity', x.indisreplident,
    'options', i.reloptions, 'tablespace', nullif(i.reltablespace, 0),
    'statistics', (SELECT jsonb_object_agg(e.attnum, e.attstattarget) FROM pg_attribute e
                   WHERE e.attrelid = i.oid AND e.attstattarget >= 0),
    'comment', obj_description(i.oid, 'pg_class'))
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = $1
UNION ALL
SELECT 'sequence', format('%I.%I', n.nspname, s.relname), jsonb_build_object(
    'column', a.attname, 'identity', q.deptype = 'i', 'owner', pg_get_userbyid(s.relowner), 'acl', s.relacl,
    'type', p.seqtypid::regtype, 'start', p.seqstart, 'increment', p.seqincrement, 'min', p.seqmin,
    'max', p.seqmax, 'cache', p.seqcache, 'cycle', p.seqcycle, 'persistence', s.relpersistence,
    'comment', obj_description(s.oid, 'pg_class'))
FROM seq q JOIN pg_class s ON s.oid = q.objid JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_sequence p ON p.seqrelid = s.oid JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = q.refobjsubid
UNION ALL
SELECT 'grant', jsonb_build_array(g.grantor, g.grantee, g.attname)::text, jsonb_build_object(
    'grantor', g.grantor, 'grantee', g.grantee, 'column', g.attname,
    'privileges', jsonb_agg(jsonb_build_array(g.privilege_type, g.is_grantable) ORDER BY g.privilege_type))
FROM (
  SELECT pg_get_userbyid(e.grantor) AS grantor, CASE e.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(e.grantee) END
         AS grantee, NULL::name AS attname, e.privilege_type, e.is_grantable
  FROM rel c, LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e
  UNION ALL
  SELECT pg_get_userbyid(e.grantor), CASE e.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(e.grantee) END,
         a.attname, e.privilege_type, e.is_grantable
  FROM pg_attribute a, LATERAL aclexplode(a.attacl) e WHERE a.attrelid = $1 AND a.attnum > 0
) g GROUP BY g.grantor, g.grantee, g.attname
UNION ALL
SELECT 'foreign key', k.conname, jsonb_build_object('definition', pg_get_constraintdef(k.oid), 'text',
    format('foreign key %I', k.conname))
FROM pg_constraint k WHERE k.conrelid = $1 AND k.contype = 'f'
UNION ALL
SELECT 'incoming foreign key', format('%s.%I', k.conrelid::regclass, k.conname), jsonb_build_object(
    'definition', pg_get_constraintdef(k.oid), 'name', k.conname, 'on_delete', k.confdeltype,
    'deferrable', k.condeferrable,
    'key', (SELECT jsonb_agg(a.attname ORDER BY u.position) FROM unnest(k.confkey) WITH ORDINALITY u (attnum, position)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
    'text', format('foreign key %I of %s refers to it', k.conname, k.conrelid::regclass))
FROM pg_constraint k WHERE k.confrelid = $1 AND k.contype = 'f'
UNION ALL
SELECT 'trigger', g.tgname, jsonb_build_object('definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled,
    'name', g.tgname, 'text', format('trigger %I', g.tgname))
FROM pg_trigger g WHERE g.tgrelid = $1 AND NOT g.tgisinternal
UNION ALL
SELECT 'policy', p.polname, jsonb_build_object('definition', to_jsonb(p) - 'oid' - 'polrelid',
    'text', format('row security policy %I', p.polname))
FROM pg_policy p WHERE p.polrelid = $1
UNION ALL
SELECT 'rule', r.rulename, jsonb_build_object('definition', pg_get_ruledef(r.oid), 'name', r.rulename,
    'event', r.ev_type, 'text', format('rule %I', r.rulename))
FROM pg_rewrite r WHERE r.ev_class = $1
UNION ALL
SELECT 'publication', p.pubname, jsonb_build_object('name', p.pubname, 'text', format('publication %I', p.pubname))
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1
UNION ALL
SELECT 'extended statistics', s.stxname, jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid),
    'text', format('extended statistics %I', s.stxname))
FROM pg_statistic_ext s WHERE s.stxrelid = $1
UNION ALL
SELECT 'security label', format('%s %s', l.provider, l.objsubid), jsonb_build_object('definition', l.label,
    'text', format('security label of %s', l.provider))
FROM pg_seclabel l WHERE l.classoid = 'pg_class'::regclass AND l.objoid = $1
UNION ALL
SELECT 'row type', '', jsonb_build_object('acl', y.typacl, 'comment', obj_description(y.oid, 'pg_type'),
    'text', 'privileges or a comment on its row type')
FROM rel c JOIN pg_type y ON y.oid = c.reltype
WHERE y.typacl IS NOT NULL OR obj_description(y.oid, 'pg_type') IS NOT NULL
UNION ALL
SELECT 'inheritance', i.inhparent::regclass::text,
    jsonb_build_object('text', format('inherits from %s', i.inhparent::regclass))
FROM pg_inherits i WHERE i.inhrelid = $1
UNION ALL
SELECT 'inheritance', i.inhrelid::regclass::text,
    jsonb_build_object('text', format('%s inherits from it', i.inhrelid::regclass))
FROM pg_inherits i WHERE i.inhparent = $1
UNION ALL
SELECT DISTINCT 'dependent', x.described, jsonb_build_object('text', x.described)
FROM (
  SELECT coalesce((SELECT format('view %s', r.ev_class::regclass) FROM pg_rewrite r
                   WHERE d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.rulename = '_RETURN'),
                  pg_describe_object(d.classid, d.objid, d.objsubid)) AS described
  FROM own o JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
  WHERE NOT EXISTS (SELECT 1 FROM own m WHERE m.classid = d.classid AND m.objid = d.objid)
    AND NOT (d.classid = 'pg_constraint'::regclass AND EXISTS (
        SELECT 1 FROM pg_constraint k WHERE k.oid = d.objid AND k.confrelid = $1))
    -- What a foreign key works with is said by the foreign key.
    AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (
        SELECT 1 FROM pg_trigger g WHERE g.oid = d.objid AND g.tgisinternal))
    -- Stages of other runs are no one's but ours, and go before the table does.
    AND NOT (d.classid = 'pg_attrdef'::regclass AND EXISTS (
        SELECT 1 FROM pg_attrdef f JOIN pg_description m ON m.objoid = f.adrelid AND m.objsubid = 0
        WHERE f.oid = d.objid AND starts_with(m.description, '{"airflow_dataquality":')))
    AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (
        SELECT 1 FROM pg_inherits i WHERE i.inhrelid = d.objid AND i.inhparent = $1))
  UNION ALL
  SELECT format('extension %I', e.extname) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
  WHERE d.classid = 'pg_class'::regclass AND d.objid = $1 AND d.deptype = 'e'
) x
"""

_DESCRIBE = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence::text,
       row_security_active(c.oid), pg_get_expr(c.relpartbound, c.oid),
       obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass({table})
"""


class CatalogSql(Names):
    """Questions to Postgres' catalog."""

    def columns(self, table: Table) -> str:
        """The table's columns, as :meth:`column` reads them."""
        return _COLUMNS.format(table=self.text(self.table(table)))

    def column(self, row: Sequence[Any]) -> Column:
        """A column of one row of :meth:`columns`."""
        name, type_name, letter, generated, identity, deterministic = row
        return Column(name, type_name, _CATEGORIES.get(letter, "other"), generated, identity, deterministic)

    def oid(self, table: Table) -> str:
        """The table's oid, or NULL.

        The name is looked up, and no row read, as a row's snapshot may be older than the name's. Naming a relation in
        FROM has the server hear first of what others committed since this transaction began.
        """
        return f"SELECT to_regclass({self.text(self.table(table))})::oid FROM pg_catalog.pg_class LIMIT 1"

    def describe(self, table: Table) -> str:
        """oid, schema, name, kind, persistence, whether row security applies, bound, comment; or no row."""
        return _DESCRIBE.format(table=self.text(self.table(table)))

    def prepare_features(self) -> str:
        """Have the server keep :meth:`features`: planning it takes longer than running it."""
        return f"PREPARE airflow_dataquality_features (oid) AS {_FEATURES}"

    def features(self, oid: int) -> Sequence[Question]:
        """What is to be asked to know every object on the table."""
        return (Question(f"EXECUTE airflow_dataquality_features ({int(oid)})"),)

    def find_schema(self, schema: str) -> str | None:
        """A row if the schema exists."""
        return f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {self.text(schema)}"

    def place(self, table: Table) -> str | None:
        """Where a table of this name would be created: schema and name, as the catalog would print them.

        None if they are known.
        """
        return None if table.schema else f"SELECT current_schema(), {self.text(table.name)}"

    def lock_reading(self, table: Table) -> str | None:
        """Keep everyone from exchanging the table while the catalog is read; None where a snapshot shows one moment.

        Postgres' catalog functions look past the snapshot.
        """
        return f"LOCK TABLE ONLY {self.table(table)} IN ACCESS SHARE MODE"
