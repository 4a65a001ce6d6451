"""Insert or update rows on Redshift, from files in S3 for example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_dataquality.operators.upsert import UpsertOperator


class RedshiftUpsertOperator(UpsertOperator):
    """Insert the rows whose keys a table of Redshift does not have, and update those that it has, all at once.

    It is :class:`~airflow_dataquality.operators.upsert.UpsertOperator` with the arguments in front that Redshift's
    users need first; all of its arguments are taken.

    :param table: the table (templated)
    :param keys: the columns by which a row is known
    :param s3_uri: ``s3://bucket/prefix``, loaded with COPY (templated); or give ``sql`` or ``rows``
    :param copy_options: parameters of COPY: ``["FORMAT AS PARQUET"]`` (templated)
    :param iam_role: the role by which the cluster reads the files, an ARN or ``default`` (templated)
    :param aws_conn_id: instead of ``iam_role``: a connection whose extra has ``role_arn``
    :param columns: what the files hold, in order; default: all columns of the table but identities (templated)
    :param conn_id: connection to the cluster
    :param database: database to use instead of the connection's
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    """

    def __init__(
        self,
        *,
        table: str,
        keys: Sequence[str],
        s3_uri: str | None = None,
        copy_options: Sequence[str] = (),
        iam_role: str | None = None,
        aws_conn_id: str | None = None,
        columns: Sequence[str] | None = None,
        conn_id: str | None = "redshift_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            table=table, keys=keys, s3_uri=s3_uri, copy_options=copy_options, iam_role=iam_role,
            aws_conn_id=aws_conn_id, columns=columns, conn_id=conn_id, **kwargs,
        )  # fmt: skip
