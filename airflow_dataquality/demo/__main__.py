"""``python -m airflow_dataquality.demo``: ten days of flights through Airflow into Postgres, one of them corrupted.

Everything is in a temporary directory, which goes with the Postgres in it, however this process ends.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from airflow_dataquality import examples
from airflow_dataquality.demo import dags, flights, report
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.demo.report import Outcome
from airflow_dataquality.demo.terminal import tail, terminal_apart

if TYPE_CHECKING:
    import psycopg

DAYS = [date(2013, 2, 1) + timedelta(days=n) for n in range(10)]
CORRUPTED = date(2013, 2, 6)
PRODUCTION = "analytics.daily_flights"

BLIZZARD = ("2013-02-08", "2013-02-09")
CANCELLED = "null_ratio:dep_time"
"""A flight that did not depart has no time of departure."""
TOLERABLE = 5
"""Other alarms in the year: days on which storms cancelled flights too."""

_CONTENT = f"SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {PRODUCTION} t"


def main() -> int:
    """Run the demo. Returns the exit code: 0 if everything went as expected."""
    # Without a handler SIGTERM ends the process on the spot, and the report's terminal with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    with EmbeddedPostgres(durable=True) as server:
        log = server.data_directory.with_name("airflow.log")
        with terminal_apart(log) as terminal:
            console = Console(file=terminal, width=None if terminal.isatty() else 120)
            demo = Demo(console, server)
            try:
                demo.prepare()
                demo.play()
            except Exception:
                console.print(tail(log), markup=False)
                raise
            finally:
                demo.close()
            console.print(report.verdicts(demo.expectations))
            console.print(
                f"{time.monotonic() - started:.0f} seconds. The databases and every file of this run go now, but"
            )
            console.print(f"for the plot of the cancelled flights: {demo.picture}", soft_wrap=True)
            return 0 if all(held for _, held in demo.expectations) else 1


class Demo:
    """The acts of the demo, and what was expected of each."""

    def __init__(self, console: Console, server: EmbeddedPostgres) -> None:
        self.console = console
        self.server = server
        self.expectations: list[tuple[str, bool]] = []
        self.picture: Path | None = None
        self._warehouse: psycopg.Connection[Any] | None = None

    @property
    def warehouse(self) -> psycopg.Connection[Any]:
        import psycopg

        if self._warehouse is None:
            self._warehouse = psycopg.connect(self.server.uri("warehouse"), autocommit=True)
        return self._warehouse

    def close(self) -> None:
        """Let go of both databases, which are about to stop."""
        if self._warehouse is not None:
            self._warehouse.close()
        dags.disconnect()

    def prepare(self) -> None:
        """Create both databases, Airflow's tables, and the raw flights."""
        os.environ["AIRFLOW_CONN_WAREHOUSE"] = self.server.create_database("warehouse")
        self.server.create_database("airflow")
        home = self.server.data_directory.with_name("airflow")
        with self._timed("Airflow's metadata database"):
            dags.configure(home, self.server.airflow_uri("airflow"), examples.directory())
        with self._timed(f"{flights.FLIGHTS:,} flights of 2013 in raw.flights"):
            flights.load(self.warehouse)
            self.warehouse.execute("CREATE SCHEMA staging; CREATE SCHEMA analytics")
        with self._timed("Airflow's first task, which waits until Airflow's API is up"):
            dags.run("dq_check_existing_table", DAYS[0])
        self.console.print()

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.console.print(f"  {what}  [dim]{time.monotonic() - started:.1f} s[/dim]")

    def play(self) -> None:
        """Run every example DAG, and see what became of each run."""
        self._publish_and_block()
        self._repair_and_repeat()
        self._whole_table()
        self._existing_table()
        self._blizzard()

    def _publish_and_block(self) -> None:
        outcomes = []
        for day in DAYS:
            if day != CORRUPTED:
                outcomes.append(self._run("dq_publish_daily_flights", day))
                continue
            before = self._content()
            rejected = self._run("dq_publish_corrupted_batch", day)
            after = self._content()
            outcomes.append(rejected)
        self._show(f"Ten days into {PRODUCTION}, the batch of {CORRUPTED} corrupted", outcomes)
        self.console.print(report.blocked(rejected, PRODUCTION, before, after))
        self.console.print()
        published = [outcome for outcome in outcomes if outcome is not rejected]
        self._expect("nine days were published", all(o.status == "published" for o in published))
        self._expect("the corrupted day was blocked", rejected.status == "BLOCKED" and rejected.kept is not None)
        self._expect("blocking it left production untouched", before == after)

    def _repair_and_repeat(self) -> None:
        repaired = self._run("dq_publish_daily_flights", CORRUPTED)
        self._show("The batch, delivered again", [repaired])
        self._expect("the repaired day was published", repaired.status == "published")
        before = self._content()
        again = [self._run("dq_publish_daily_flights", day) for day in DAYS]
        after = self._content()
        self._show("All ten days once more", again)
        changed = "nothing" if before == after else "SOMETHING"
        self.console.print(f"The re-run changed {changed}: before {before}, after {after}\n")
        self._expect("the re-run published ten days", all(o.status == "published" for o in again))
        self._expect("the re-run changed nothing", before == after)

    def _whole_table(self) -> None:
        outcomes = [self._run("dq_publish_from_yaml", day) for day in DAYS]
        self._show("A whole table, checks from a rule set: analytics.airline_punctuality", outcomes)
        modes = [outcome.mode for outcome in outcomes]
        self._expect("the whole table was created, then swapped nine times", modes == ["create", *["swap"] * 9])

    def _existing_table(self) -> None:
        outcomes = [self._run("dq_check_existing_table", day) for day in DAYS]
        self._show("A table that exists, checked in place: raw.flights", outcomes)
        self._expect("the existing table was checked ten times", all(o.status == "checked" for o in outcomes))

    def _blizzard(self) -> None:
        from airflow_dataquality.anomalies import Place
        from airflow_dataquality.plot import plot

        with self._timed(f"{CANCELLED} of every day of 2013, judged by the days before it"):
            self.picture = Path(tempfile.mkdtemp(prefix="dataquality-demo-")) / "cancelled.png"
            year = Place("warehouse", "raw.flights", {"ds": "2013-12-31"}, last=365)
            found = plot(year, CANCELLED, self.picture)
        self.console.print()
        self.console.print(report.anomalies("Cancelled flights: the days that stand out", found, BLIZZARD))
        self.console.print()
        alarms = {day for day, outside in zip(found.days, found.outside, strict=True) if outside}
        self._expect("both days of the blizzard were found", alarms >= set(BLIZZARD))
        self._expect(f"at most {TOLERABLE} other days of the year stood out", len(alarms - set(BLIZZARD)) <= TOLERABLE)

    def _run(self, dag_id: str, day: date) -> Outcome:
        dag_run = dags.run(dag_id, day)
        return report.read(self.warehouse, dag_run, day)

    def _content(self) -> str:
        rows, digest = self.warehouse.execute(_CONTENT).fetchone() or (0, "")
        return f"{rows} rows, md5 {digest}"

    def _show(self, title: str, outcomes: list[Outcome]) -> None:
        self.console.print(report.table(title, outcomes))
        self.console.print()

    def _expect(self, what: str, held: bool) -> None:
        self.expectations.append((what, held))


if __name__ == "__main__":
    raise SystemExit(main())
