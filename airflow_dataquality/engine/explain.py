"""Show how the database would run statements, before it does."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Session

log = logging.getLogger(__name__)


def explain(session: Session, statements: Iterable[str]) -> None:
    """Log the plan of each statement, and warn of steps that are known to be slow, with what to do about them.

    What cannot be explained is logged and passed over: a plan is for people, and no condition of a load.
    """
    sql = session.dialect
    for statement in statements:
        try:
            rows = session.query(sql.explain_plan + statement)
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
            log.warning("No plan of\n%s\n%s", statement, said(error))
            continue
        lines = [str(row[-1]) for row in rows]
        log.info("The plan of\n%s\nis\n%s", statement, "\n".join(lines))
        for step, advice in sql.slow_steps.items():
            found = [line.strip() for line in lines if step in line]
            if found:
                log.warning("%s: %s\n  %s", step, advice, "\n  ".join(found))
