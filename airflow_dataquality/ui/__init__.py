"""The data quality pages in Airflow's own UI: server-rendered, and legible without JavaScript."""
