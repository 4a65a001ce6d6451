"""What all tests of transforms share."""

from __future__ import annotations

import math

import pytest


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parse that reads all SQL that is new, however long it takes on this machine."""
    monkeypatch.setattr("airflow_dataquality.transforms.dags._PATIENCE", math.inf)
