"""``python -m redshift_double`` prints the rules."""

from redshift_double.rules import markdown

print(markdown())  # noqa: T201 - a command prints
