"""Sensors: tasks that wait for partitions."""
