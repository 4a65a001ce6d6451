"""Triggers: what waits for deferred sensors, in the triggerer."""
