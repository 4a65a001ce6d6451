"""Ordered SQL of one load step: values in, statements out, no connection."""
