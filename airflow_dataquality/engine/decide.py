"""What people decide on a blocked publication: publish the kept rows anyway, or drop them.

Whoever decides second is told so: the verdict is in the transaction that makes the rows visible, behind the locks of
every publication, and is looked for there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from airflow_dataquality.engine import blocked, staging
from airflow_dataquality.engine.blocked import Kept, Rejection
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.publish import Load, Outcome, publish
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.target import locate
from airflow_dataquality.errors import DecisionRefused, ExchangeTimeout

_T = TypeVar("_T")

TIMEOUT = 300.0
"""Seconds that a statement may take which publishes by hand."""
_WAITED = ("55P03", "57014")
"""SQLSTATEs of statements that have waited long enough."""
_NEVER = timedelta(days=36500)
"""Publishing sweeps first, and must not sweep what it is about to publish."""


@dataclass(frozen=True)
class Decision:
    """Who decides, and why.

    :param over: run_uid of the newest publication that they have seen and want replaced; None if they saw none
    """

    author: str
    note: str
    over: str | None = None


def publish_anyway(session: ExchangeSession, ledger: Ledger, rejection: Rejection, decision: Decision) -> Outcome:
    """Publish the kept rows, through the same exchange as everything else.

    The publication and the verdict are one transaction: either both are there, or neither.

    :raises DecisionRefused: if they are not kept any more, were decided on, or newer ones were published meanwhile
    :raises DataQualityError: if the exchange cannot be done; production is unchanged
    """
    if not decision.note.strip():
        raise DecisionRefused("no reason is given", hint="say why the rows are right, for those who look at them later")
    refuse_unpublishable(ledger, rejection)
    _refuse_decided(ledger, rejection, decision)
    source = _owned(session, rejection)
    target = locate(session, rejection.table, features=False)
    held = [column.name for column in session.columns(source.table)]
    wanted = [c.name for c in session.columns(target.table) if c.name in held and not c.generated] or held
    run = replace(rejection.run, run_uid=Run().run_uid)

    def within() -> None:
        _refuse_decided(ledger, rejection, decision)
        session.execute(session.dialect.republish_metrics(ledger.table("metric"), rejection.row, run.run_uid))
        record(ledger, rejection, "published", decision)

    load = Load(
        table=target.table,
        source=Select(session.dialect.select(wanted, source.table)),
        key=rejection.partition.as_dict,
        settings=Settings(keep_previous=len(staging.previous_versions(session, rejection.partition))),
        keep_staging=False,
        staging_ttl=_NEVER,
        found=blocked.summary_of(blocked.found(ledger, rejection)),
        within=within,
    )
    return _explained(lambda: publish(session, ledger, load, run), session, rejection)


def refuse_unpublishable(ledger: Ledger, rejection: Rejection) -> None:
    """Say whether the rows can never be published by hand.

    :raises DecisionRefused: if there are none, or some are of other partitions, which an exchange would make visible
    """
    if not rejection.row["rows"]:
        raise DecisionRefused("there are no rows to publish", hint="retry the task")
    strays = [one for one in blocked.found(ledger, rejection) if one.row["metric"] == "outside_partition"]
    if any(one.row["status"] != "pass" for one in strays):
        raise DecisionRefused(
            f"some of the rows are not of {rejection.partition}, which no decision can make right",
            hint="mend what is loaded, and retry the task",
        )


def discard(session: ExchangeSession, ledger: Ledger, rejection: Rejection, decision: Decision) -> None:
    """Drop the kept rows.

    :raises DecisionRefused: if they were decided on, or somebody reads or publishes them now
    """
    _refuse_decided(ledger, rejection, decision, newer=False)
    source = blocked.kept(session, rejection)
    if source is not None:
        source = _owned(session, rejection)
    locks = Locks(session, Settings(exchange_timeout=2.0), rejection.partition)

    def once() -> None:
        with session.transaction(session.dialect.begin_write):
            # Behind the same lock as a publication by hand, where there is one that keeps no reader waiting.
            for statement in session.dialect.decision_locks(rejection.partition):
                session.query(statement)
            _refuse_decided(ledger, rejection, decision, newer=False)
            if source is not None:
                session.execute(session.dialect.lock_timeout(1.0))
                session.execute(session.dialect.drop_if_exists(source.table))
                session.execute(session.dialect.lock_timeout(None))
            record(ledger, rejection, "discarded", decision)

    try:
        locks.attempts(once)
    except Exception as error:
        if not isinstance(error, ExchangeTimeout) and said(error).sqlstate not in _WAITED:
            raise
        raise DecisionRefused(
            "somebody reads or publishes these rows now, so they were not dropped", hint="try again in a minute"
        ) from error


def record(ledger: Ledger, rejection: Rejection, verdict: str, decision: Decision) -> None:
    """Append what was decided."""
    ledger.record_verdict(
        rejection.partition, verdict, run_uid=rejection.row["run_uid"], author=decision.author,
        note=decision.note.strip() or None,
    )  # fmt: skip


def _refuse_decided(ledger: Ledger, rejection: Rejection, decision: Decision, *, newer: bool = True) -> None:
    """Look whether anything was decided or published meanwhile."""
    for one in blocked.decisions(ledger, rejection):
        if one["verdict"] in blocked.FINAL:
            raise DecisionRefused(
                f"{one['author'] or 'somebody'} has {one['verdict']} these rows already", hint="reload the page"
            )
    if not newer:
        return
    later = blocked.newer(ledger, rejection)
    if later and later[0]["run_uid"] != decision.over:
        at = f"{later[0]['published_at']:%Y-%m-%d %H:%M}"
        raise DecisionRefused(
            f"newer rows of {rejection.partition} were published meanwhile, at {at}",
            hint="look at them first; confirm that these older rows are to replace them",
        )


def _owned(session: ExchangeSession, rejection: Rejection) -> Kept:
    """The kept rows, as ours alone until the session ends, so that nobody sweeps them or publishes them, too.

    :raises DecisionRefused: if they are gone, or somebody else has them
    """
    source = blocked.kept(session, rejection)
    if source is None:
        raise DecisionRefused(
            "the rejected rows are not kept any more: they were swept, or a later run has replaced or published them",
            hint="retry the task, which stages them again",
        )
    if source.gathering:
        raise DecisionRefused("these rows are a backfill's, which is decided on as a whole",
                              hint="exchange or discard it on the page of the backfill")  # fmt: skip
    if not session.query(session.dialect.try_own(source.table, source.mark.owner))[0][0]:
        raise DecisionRefused("somebody decides on these rows right now", hint="reload the page in a minute")
    _explained(lambda: staging.adopt(session, source.table, source.mark), session, rejection)
    return source


def _explained(action: Callable[[], _T], session: ExchangeSession, rejection: Rejection) -> _T:
    """What the action returns; if it fails as the rows went away meanwhile, say so."""
    try:
        return action()
    except DecisionRefused:
        raise
    except Exception as error:
        try:
            gone = blocked.kept(session, rejection) is None
        except Exception:  # noqa: BLE001 - the connection is broken, which is the error
            raise error from None
        if not gone:
            raise
        raise DecisionRefused(
            "the rejected rows went away meanwhile: somebody has decided on them, or a later run has replaced them",
            hint="reload the page",
        ) from error
