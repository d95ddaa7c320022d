# Every target makes the environment first; that is quick when it is there already.
#   make demo PYTHON=/path/to/python3.11 VENV=/roomy/disk/venv
VENV ?= .venv
PYTHON ?=
JOBS ?= 2
PY = $(VENV)/bin/python
BOOT := $(or $(shell command -v python3 || command -v python3.11),python3)
# One thread per worker. Two workers spend 77 s of CPU where one process spends 60: a gain
# on two free cores, a loss on busy ones (JOBS=0).
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -q -n $(JOBS) --dist loadfile
PROSE = $(wildcard uniformer_backbones projects configs docs tools tests *.md *.py Makefile)

.PHONY: install doctor demo test test-slow test-all format lint type check zoo zoo-check docs-check bench \
	clean

install:  ## .venv with the pinned set of requirements/, and the project in it
	@$(BOOT) tools/bootstrap.py --venv "$(VENV)" --python "$(PYTHON)"
doctor: install  ## what is installed, and whether it fits together
	$(PY) tools/doctor.py
demo: install  ## train, evaluate and draw Mask R-CNN UniFormer-S on generated images
	$(PY) tools/train.py configs/det/mask_rcnn_uniformer_s.py --demo
test: install  ## the fast tests
	$(PYTEST) -m "not slow and not gpu and not weights"
test-slow: install  ## more than seconds each, without photographs; 5: there are none
	$(PYTEST) -m "slow and not weights" || [ $$? -eq 5 ]
test-all: test test-slow  ## everything: gpu, weights and photographs where they are
	$(PYTEST) -m "gpu or weights" || [ $$? -eq 5 ]
format: install
	$(PY) -m ruff check --fix-only --quiet .
	$(PY) -m ruff format .
lint: install
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib $(PROSE)
type: install
	$(PY) -m mypy
check: lint type
zoo: install  ## tables of README.md and docs/model_zoo.md from the metafiles; minutes
	$(PY) tools/model_zoo.py
zoo-check: install  ## tables, metafiles, and every model measured again
	$(PY) tools/model_zoo.py --check
docs-check: install  ## links and commands of all pages; each task as a newcomer does it
	$(PY) tools/docs_check.py
bench: install  ## speed and memory, as a CSV
	$(PY) tools/benchmark.py
clean:  ## caches and build output; the environment, data and runs stay
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find uniformer_backbones projects configs tools tests -name __pycache__ -prune \
		-exec rm -rf {} + 2>/dev/null || true
