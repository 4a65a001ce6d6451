"""Which way to exchange: the first that keeps everything on the table, or a refusal that says what is in the way."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from airflow_dataquality.engine.partitions import attach_obstacles
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import MODES, Settings
from airflow_dataquality.engine.target import Target, rights_missing
from airflow_dataquality.errors import ExchangeRefused, did_you_mean
from airflow_dataquality.model import Partition
from airflow_dataquality.plans.features import swap_obstacles

log = logging.getLogger(__name__)


class Choice:
    """The modes that fit a partition of a table."""

    def __init__(self, session: ExchangeSession, settings: Settings, partition: Partition) -> None:
        self.session, self.sql, self.settings, self.partition = session, session.dialect, settings, partition
        self._said: set[str] = set()

    def modes(self, target: Target) -> list[str]:
        """The modes to try, in order.

        :raises ExchangeRefused: if the mode asked for would lose something
        """
        wanted = self.settings.mode
        if target.features is None:
            return ["create"]
        possible = self.possible(target)
        if wanted == "auto":
            modes = [mode for mode, obstacles in possible.items() if not obstacles]
            for mode, obstacles in possible.items():
                line = f"No {mode} of {target.table}: {'; '.join(obstacles)}"
                if obstacles and line not in self._said:
                    self._said.add(line)
                    log.info("%s", line)
            if modes:
                return modes
            raise ExchangeRefused(
                f"no way to exchange {self.partition} keeps everything as it is",
                losses=[f"{mode}: {line}" for mode, lines in possible.items() for line in lines],
                hint=_allow_hint(possible.get("overwrite", [])),
            )
        if wanted not in possible:
            raise ExchangeRefused(
                f"exchange={wanted!r} does not fit {self.partition}: {_misfit(wanted, target, self.partition)}",
                hint=f'use exchange="auto", or one of: {", ".join(possible)}',
            )
        if possible[wanted]:
            raise ExchangeRefused(
                f"exchange={wanted!r} of {self.partition} is refused: it would lose or set off",
                losses=possible[wanted],
                hint=_allow_hint(possible[wanted]) if wanted == "overwrite" else 'use exchange="auto"',
            )
        return [wanted]

    def possible(self, target: Target) -> dict[str, list[str]]:
        """The modes that fit the table and the partition → what stands in their way."""
        assert target.features is not None
        possible: dict[str, list[str]] = {}
        if target.partitioned and self.partition.key and not self.partition.several:
            possible["attach"] = attach_obstacles(self.session, target, self.partition)
        elif not target.partitioned and not self.partition.key:
            possible["swap"] = self.swap_obstacles(target) + rights_missing(self.session, target.features)
        possible["overwrite"] = self._side_effects(target)
        return possible

    def swap_obstacles(self, target: Target) -> list[str]:
        """What a swap would lose."""
        assert target.features is not None
        return swap_obstacles(target.features)

    def _side_effects(self, target: Target) -> list[str]:
        assert target.oid is not None
        question = self.sql.side_effects(target.oid)
        rows = self.session.query(question) if question else ()
        return [line for name, line in rows if name not in self.settings.allow_side_effects]


def _allow_hint(side_effects: Sequence[str]) -> str:
    accept = ", or accept it by name: allow_side_effects=[…]" if side_effects else ""
    return f"remove what stands in the way{accept}"


def _misfit(mode: str, target: Target, partition: Partition) -> str:
    if mode == "create":
        return "the table exists"
    if partition.several and mode in ("swap", "attach"):
        return "it is a range of partitions"
    if mode == "swap":
        return "it is one partition" if partition.key else "the table is partitioned"
    if mode == "attach":
        return "the table is not partitioned" if not target.partitioned else "no partition is named"
    return did_you_mean(mode, MODES)
