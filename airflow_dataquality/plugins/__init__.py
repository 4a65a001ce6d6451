"""Plugins of Airflow itself."""
