"""The flights warehouse, from raw data to reports: each folder in ``transforms/`` is a DAG, each header a task."""

from airflow_dataquality.transforms import dags_from

dags_from("transforms", conn_id="warehouse", prefix="flights_")
