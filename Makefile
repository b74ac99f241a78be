# The same things that .ci/run does, at a desk. `make` alone lists the targets.
PYTHON ?= python
DATA ?= data

.PHONY: help install check format test test-slow test-notebooks notebooks docs benchmarks

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

install: ## the package, editable, with everything a contributor needs
	$(PYTHON) -m pip install -e ".[dev]"

check: ## ruff, formatting, types
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: ## let ruff mend what it can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

test: ## the default suite, under 8 minutes on 2 cores
	$(PYTHON) -m pytest -n logical --dist loadfile

test-slow: ## the long tests
	$(PYTHON) -m pytest -m slow -n logical --dist loadfile

docs: ## the site, into site/; a warning is an error; needs pip install -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

test-notebooks: ## run every notebook from top to bottom, on small data, no network
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n logical --timeout 900 --nbmake notebooks/*.ipynb

notebooks: ## after a change of notebooks/*.py: run them anew, and keep what they print and draw
	$(PYTHON) -m jupytext --quiet --update --to notebook notebooks/*.py
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest --timeout 900 --nbmake --overwrite notebooks/*.ipynb
	$(PYTHON) docs/tidy_notebooks.py notebooks/*.ipynb

benchmarks: ## the tables of docs/results/; DATA: the folder with sst2/; STUDENT and VALIDATION: see student_speed.py
	$(PYTHON) benchmarks/classification.py --data $(DATA)
	$(PYTHON) benchmarks/step_time.py --data $(DATA)
	@test -z "$(STUDENT)" || $(PYTHON) benchmarks/student_speed.py --student $(STUDENT) --validation-file $(VALIDATION)
