"""Measured beside peers, in one run: ``python -m benchmarks``. What was measured is in the README here."""
