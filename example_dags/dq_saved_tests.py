"""Run the tests that people saved on the data quality pages: all of them in this one DAG, however many there are."""

from __future__ import annotations

from airflow_dataquality.tests_dag import tests_dag

tests_dag("data_quality_tests", conn_id="warehouse", schedule="@daily")
