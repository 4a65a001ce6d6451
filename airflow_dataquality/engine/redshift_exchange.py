"""Exchange on Redshift: LOCK the table first, then write, with the ledger's row last before COMMIT."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.choice import Choice
from airflow_dataquality.engine.exchange import Exchange
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.staging import Mark, features_of, oid_of
from airflow_dataquality.engine.target import Target
from airflow_dataquality.errors import ExchangeRefused
from airflow_dataquality.plans import redshift as plans
from airflow_dataquality.plans.features import Features

if TYPE_CHECKING:
    from airflow_dataquality.dialects.redshift import Redshift

log = logging.getLogger(__name__)

UNSEEN = (
    'this user is no superuser, and so does not see who reads the table or what protects it (exchange="swap" insists)'
)


class RedshiftChoice(Choice):
    """The modes that fit a table on Redshift."""

    sql: Redshift

    def swap_obstacles(self, target: Target) -> list[str]:
        """What a swap would lose; with ``auto``, also what it might lose unseen."""
        assert target.features is not None
        lost = plans.swap_obstacles(target.features)
        if self.session.query(self.sql.sees_everything())[0][0]:
            return lost + [str(row[0]) for row in self.session.query(self.sql.protections(target.table))]
        return [*lost, UNSEEN] if self.settings.mode == "auto" else lost


class RedshiftExchange(Exchange):
    """One exchange of one stage on Redshift."""

    sql: Redshift
    chooses: ClassVar[type[Choice]] = RedshiftChoice
    changed: ClassVar[Mapping[str, str]] = {
        **Exchange.changed,
        "42P07": "it exists now",
        "42P01": "it was dropped, or renamed",
    }

    def create(self, target: Target) -> None:
        self.dress_new()

        def once() -> None:
            with self.session.transaction():
                self.take_free_name(target)

        self.locks.attempts(once)

    def swap(self, target: Target) -> None:
        assert target.features is not None
        features = target.features
        self._dress(features)
        self.locks.await_snapshots(self.stage)
        self.name_previous(target)
        retired = self.previous or staging.name_beside(self.session, target.table, "retired", self.run)
        role = staging.PREVIOUS if self.previous else staging.STAGE

        def once() -> None:
            with self.locks.exclusive(whole=True):
                self.same(target)
                self.unchanged(features, features_of(self.session, target.oid or 0))
                plan = plans.take_place(self.sql, self.stage.table, target.table, features, retired)
                self.session.send(plan)
                self.session.execute(self.sql.mark(target.table, features.relation["comment"]))
                mark = replace(Mark.of(role, self.partition, self.run), owner=self.stage.owner)
                self.session.execute(self.sql.mark(retired, mark.comment))
                self.carried(features, features_of(self.session, oid_of(self.session, target.table) or 0))
                self.record("swap", self.previous)

        self.locks.attempts(once)
        if not self.previous:  # whoever waited for the lock reads it now: DROP waits in turn, and else a later sweep
            staging.drop(self.session, retired)
        self._analyze(target)

    def overwrite(self, target: Target) -> None:
        super().overwrite(target)
        self._analyze(target)

    def lock_rows(self, target: Target) -> None:
        """The publication's lock is the table's."""

    def numbers(self, column: Mapping[str, Any]) -> bool:
        return False

    def unchanged(self, planned: Features, now: Features) -> None:
        super().unchanged(plans.comparable(planned), plans.comparable(now))

    def carried(self, before: Features, after: Features) -> None:
        super().carried(plans.comparable(before), plans.comparable(after))

    def _dress(self, features: Features) -> None:
        self.dressed = True
        have = features_of(self.session, oid_of(self.session, self.stage.table) or 0, "relation")
        try:
            self.session.run(plans.dress(self.sql, self.stage.table, features, have))
        except Exception as error:
            known = database_error("the staged rows cannot be given the table's owner and grants", error)
            raise ExchangeRefused(known.message, hint=known.hint) from error

    def _analyze(self, target: Target) -> None:
        """The rows are visible: what is not known to the planner yet is no reason to fail the load."""
        try:
            self.session.execute(self.sql.analyze(target.table))
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
            log.warning("%s was published, but not analyzed: %s", target.table, said(error))
