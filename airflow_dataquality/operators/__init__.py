"""Operators: thin shells around the engine, one file each."""
