"""How an exchange is to be done. A module of its own, as operators read it when a DAG is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_dataquality.engine.clock import Clock

MODES = ("auto", "create", "swap", "overwrite", "attach")


@dataclass(frozen=True)
class Settings:
    """How to exchange.

    :param mode: one of :data:`MODES`
    :param lock_timeout: seconds that readers may wait behind us
    :param exchange_timeout: seconds to keep trying
    :param keep_previous: previous versions to keep
    :param allow_side_effects: triggers, foreign keys … that an overwrite may set off
    :param clock: where it is written down how long each step took
    """

    mode: str = "auto"
    lock_timeout: float = 0.1
    exchange_timeout: float = 60.0
    keep_previous: int = 0
    allow_side_effects: tuple[str, ...] = ()
    clock: Clock = field(default_factory=Clock, compare=False)
