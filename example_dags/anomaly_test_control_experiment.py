"""Compare the day with the four weeks before it: a control query, an experiment query, and when all is well."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator

with DAG(
    dag_id="anomaly_test_control_experiment",
    schedule="@daily",
    start_date=datetime(2013, 2, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    AnomalyTestOperator(
        task_id="departure_delay",
        conn_id="warehouse",
        table="raw.flights",
        partition={"ds": "{{ ds }}"},
        control_sql="""
            SELECT avg(delay) AS avg, stddev(delay) AS stddev
            FROM (
                SELECT avg(dep_delay) AS delay FROM raw.flights
                WHERE ds >= DATE '{{ ds }}' - 28 AND ds < DATE '{{ ds }}'
                GROUP BY ds
            ) AS days
        """,
        experiment_sql="SELECT avg(dep_delay) AS avg FROM raw.flights WHERE ds = '{{ ds }}'",
        formula="abs((experiment.avg - control.avg) / control.stddev) <= z_score",
        formula_params={"z_score": 3},
        severity="error",
    )

    AnomalyTestOperator(
        task_id="flights_and_cancellations",
        conn_id="warehouse",
        table="raw.flights",
        partition={"ds": "{{ ds }}"},
        tests="checks/flight_anomalies.yaml",
    )
