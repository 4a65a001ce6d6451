"""``airflow dq``: what an operator of the warehouse does without a DAG.

Airflow imports this package for every ``airflow`` command, so each command imports what it needs when it runs. A
command is a function of its parsed arguments, decorated with :func:`~airflow_dataquality.cli.running.command`, and an
``ActionCommand`` in its module's ``COMMANDS``.
"""

from __future__ import annotations

from airflow.cli.cli_config import GroupCommand

from airflow_dataquality.cli import (
    anomalies,
    check,
    load,
    maintain,
    monitors,
    past,
    rules,
    transforms,
    transforms_run,
)

MODULES = (check, load, past, rules, monitors, maintain, anomalies, transforms, transforms_run)
"""Where commands are, in the order in which they are listed."""


def get_dq_commands() -> list[GroupCommand]:
    """The command group, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="dq",
            help="Check and publish tables, and look after what the data quality operators know of them",
            subcommands=tuple(command for module in MODULES for command in module.COMMANDS),
        )
    ]
