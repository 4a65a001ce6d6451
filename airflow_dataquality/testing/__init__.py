"""Transforms, tested as code: with rows that are given, on a real Postgres.

See ``docs/pages/guides/transforms-tests.md``.

pytest finds the plugin by itself once the package is installed; a test asks for ``transform`` and ``rows``. Nothing is
imported here, as every pytest imports the plugin.
"""
