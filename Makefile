# Every target sets itself up: a fresh clone needs Python 3.11 or newer, make, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo ui pictures test test-matrix test-redshift lint types docs bench constraints clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP)  ## Install the package and its tools into .venv

# Compiled now, because without bytecode every Airflow process spends seconds compiling, and pip's own
# compilation is slower: it uses one process.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --no-compile --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	$(BIN)/python tests/ui/browser.py
	touch $@

demo: $(STAMP)  ## Publish ten days of flights through Airflow into Postgres, block the corrupted one, find the blizzard
	$(BIN)/python -m airflow_dataquality.demo

ui: $(STAMP)  ## Start Airflow with the data quality pages on the same flights, until Ctrl-C
	@$(BIN)/python -m airflow_dataquality.demo.ui $(UI_ARGS)

# Side by side, but for those that measure time or start a whole Airflow. Both workers begin with a half of the tests,
# so that what the tests of a module share is made once.
ALONE := $(addprefix tests/,$(addprefix reliability/test_,celery.py readers.py summary_kill.py triggerer.py) ui/live)

test: $(STAMP)  ## Run the tests, or with PYTEST_ARGS those
ifdef PYTEST_ARGS
	$(BIN)/python -m pytest $(PYTEST_ARGS)
else
	$(BIN)/python -m pytest -n 2 --dist worksteal $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)
endif

pictures: $(STAMP)  ## Take the pictures of the pages anew for the documentation
	DQ_SCREENSHOTS=docs/pages/images/ui $(BIN)/python -m pytest tests/ui/live

test-matrix: $(STAMP)  ## Run the tests on the oldest and newest Airflow and every Python found
	$(BIN)/python tests/matrix.py $(PYTEST_ARGS)

test-redshift: $(STAMP)  ## Run the tests marked live on the cluster in AIRFLOW_CONN_REDSHIFT_LIVE
	@test -n "$$AIRFLOW_CONN_REDSHIFT_LIVE" || \
	  { echo 'Hint: AIRFLOW_CONN_REDSHIFT_LIVE="redshift://user:password@host:5439/database" make test-redshift'; exit 2; }
	$(BIN)/python -m pytest -m live tests $(PYTEST_ARGS)

lint: $(STAMP)  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## Check types
	$(BIN)/mypy

docs: $(STAMP)  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs.yml

bench: $(STAMP)  ## Measure against Airflow's own operators and hand-written SQL
	$(BIN)/python -m benchmarks

# Only what a new release of may change the outcome of these targets: a list of every package and version would
# fit one Python alone.
constraints:  ## Renew constraints.txt from the newest releases
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --quiet --editable '.[demo,dev]'
	grep '^#' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/pip freeze --exclude-editable | grep -E '^(apache-airflow|moto==|mypy==|pixeltable|pytest|redshift|ruff)' >> $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt constraints.txt

clean:  ## Remove everything that the targets made
	rm -rf $(VENV) .venv-matrix build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
