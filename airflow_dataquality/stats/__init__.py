"""What a metric is expected to be next, from its past: baselines, their judgement, and what chance alone would flag."""
