"""The pages: a module for each, with its ``router``."""

from airflow_dataquality.ui.pages import backfills, blocked, check, overview, runs, table, tests

PAGES = (overview, table, check, blocked, tests, backfills, runs)
