"""Of which results nobody is to be told: those of checks that somebody muted on the data quality pages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.verdicts import muted_now
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Table
from airflow_dataquality.results import Result

log = logging.getLogger(__name__)


def heard(operator: Any, table: Table, results: Sequence[Result]) -> list[Result]:
    """The results of checks that are not muted now: all of them, if the ledger cannot be asked.

    A muted check blocks as before; it is only not news.
    """
    schema = getattr(operator, "ledger_schema", None)
    if schema is None or not results:
        return list(results)
    try:
        elsewhere = getattr(operator, "ledger_conn_id", None)
        hook = operator.get_hook(elsewhere) if elsewhere else operator.get_db_hook()
        with open_session(hook) as session:
            muted = muted_now(Ledger(session, schema), table)
    except Exception as error:  # noqa: BLE001 - whatever it is, better one message too many
        log.debug("Whether checks of %s are muted is not known: %s", table, error)
        return list(results)
    kept = [result for result in results if None not in muted and result.check.name not in muted]
    if len(kept) < len(results):
        log.info("%s of %s results are of muted checks", len(results) - len(kept), len(results))
    return kept
