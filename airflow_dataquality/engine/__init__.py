"""The few verbs: measure, judge, record, publish."""
