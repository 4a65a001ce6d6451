"""Notifiers for the callbacks of DAGs and tasks."""
