# The same things that .ci/run does, at a desk. `make` alone lists the targets.
PYTHON ?= python
DATA ?= data

.PHONY: help install check format test test-slow test-notebooks notebooks docs benchmarks compatibility

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

test: ## the default suite, about 8 minutes on 2 cores
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

compatibility: ## students in other tools, each in an environment of its own, and the table of docs/runs-in.md; WORK, TEXTS
	$(PYTHON) compatibility/run.py $(WORK) --texts $(TEXTS)

# CPU hours in all; each line can be run alone, and goes on with what it has measured before where runs are kept.
# STUDENT is a finished 4l-312d of SST-2, which student_speed.py measures; TEXTBREWER and TORCHDISTILL are interpreters
# that have those, TEACHER a classifier of SST-2 with 6 layers, for other_tools.py. Without them that table is left out.
# On a machine with a GPU: GPU=1.
benchmarks: ## every table of docs/results/; DATA names the folder that holds sst2/, cola/, ...
	$(PYTHON) benchmarks/start_up.py
	$(PYTHON) benchmarks/step_time.py --data $(DATA) --threads 1
	$(PYTHON) benchmarks/training_speed.py --data $(DATA)
	@test -z "$(STUDENT)" || $(PYTHON) benchmarks/student_speed.py --student $(STUDENT) \
		--validation-file $(DATA)/sst2/validation.jsonl.gz
	@test -z "$(TEXTBREWER)" || $(PYTHON) benchmarks/other_tools.py --data $(DATA) --teacher $(TEACHER) \
		--textbrewer-python $(TEXTBREWER) --torchdistill-python $(TORCHDISTILL)
	$(PYTHON) benchmarks/teacher_cache.py --threads 1
	$(PYTHON) benchmarks/growth.py
	$(PYTHON) benchmarks/memory.py
	$(PYTHON) benchmarks/augmentation.py --threads 1
	$(PYTHON) benchmarks/general_distillation.py --data $(DATA)
	$(PYTHON) benchmarks/classification.py --data $(DATA)
	$(PYTHON) benchmarks/tasks.py --data $(DATA)
	$(PYTHON) benchmarks/teacher_precision.py
	$(PYTHON) benchmarks/precision_accuracy.py --data $(DATA)
	$(PYTHON) benchmarks/translation.py --data $(DATA)
	@test -z "$(TEXTBREWER)" || $(PYTHON) benchmarks/front_others.py --data $(DATA) \
		--textbrewer-python $(TEXTBREWER) --torchdistill-python $(TORCHDISTILL)
	$(PYTHON) benchmarks/front.py --data $(DATA)
	$(PYTHON) benchmarks/translators.py --data $(DATA)
	$(PYTHON) benchmarks/classifying.py --data $(DATA)
	$(PYTHON) benchmarks/runtimes.py
	$(PYTHON) benchmarks/hostile_files.py --cases 1000
	$(PYTHON) benchmarks/interrupted_runs.py
	$(PYTHON) benchmarks/planted_faults.py
	@test -z "$(GPU)" || $(PYTHON) benchmarks/gpu.py
