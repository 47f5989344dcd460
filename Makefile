# Every target makes what it needs; `make install` alone prepares the environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= results
# The real tables where they lie beside the project; set EDNAG_DATA_DIR for a folder of your own.
EDNAG_DATA_DIR ?= $(abspath $(wildcard ../shared/data))
ifneq ($(EDNAG_DATA_DIR),)
export EDNAG_DATA_DIR
endif

.PHONY: help install lint types docs test test-slow environments bench smoke readme reproduce compare compare-diffusion-nag compare-noisy compare-objectives ablate \
  predictor prove-predictor prove-spaces generate-nb201 generate-digits bbob ci clean

help:  ## Lists the targets.
	@grep -E '^[a-z0-9%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## Makes the environment in .venv.

lint: install  ## Checks style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## Checks types.
	$(BIN)/mypy

docs: install  ## The documentation as a site, in results/site; a warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --site-dir $(abspath $(OUT))/site

# What compiles much and runs little takes half the time without optimisations. Tests marked `optimised`, which run
# much or are told by their figures, are compiled as users have it. Bytecode is kept: tests are rewritten on import.
QUICK = XLA_FLAGS="$$($(BIN)/python tests/quick_flags.py)"
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: install  ## The fast tests.
	$(QUICK) $(PYTEST)

test-slow: install  ## The tests that take longer.
	$(QUICK) $(PYTEST) -m 'slow and not optimised'
	$(PYTEST) -m 'slow and optimised'

environments: install  ## The fast tests under every Python that is here, with the oldest and newest packages.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tests/environments.py

smoke: install  ## Every experiment, small.
	@for file in experiments/[a-z]*.py; do \
	  echo "== $$file --smoke"; \
	  $(BIN)/python $$file --smoke --out $(OUT)/smoke/$$(basename $$file .py) || exit 1; \
	done

reproduce-%: install  ## One experiment: nb201, transnas, autoformer, nb101, nb301, darts, mobilenetv3, ablation, efficiency; tables and plots in results/.
	$(BIN)/ednag reproduce $* --out $(OUT)/$*

EXPERIMENTS := nb201 transnas autoformer nb101 nb301 darts mobilenetv3 ablation efficiency
reproduce: $(EXPERIMENTS:%=reproduce-%)  ## All of them.
	$(BIN)/python docs/collect_results.py $(OUT)

compare: install  ## Every strategy on every table at equal queries; 75 minutes, goes on where it stopped.
	$(BIN)/python experiments/compare_strategies.py --out $(OUT)/compare
	$(BIN)/python docs/collect_results.py $(OUT)

compare-diffusion-nag: install  ## EDNAG and DiffusionNAG with one predictor at equal queries; fifteen minutes, goes on where it stopped.
	$(BIN)/python experiments/compare_diffusion_nag.py --out $(OUT)/compare_diffusion_nag
	$(BIN)/python docs/collect_results.py $(OUT)

compare-noisy: install  ## Every strategy under a noisy oracle; fifteen minutes, goes on where it stopped.
	$(BIN)/python experiments/compare_noisy.py --out $(OUT)/compare_noisy
	$(BIN)/python docs/collect_results.py $(OUT)

compare-objectives: install  ## Accuracy against latency or size, beside NSGA-II; three minutes.
	$(BIN)/python experiments/compare_objectives.py --out $(OUT)/objectives
	$(BIN)/python docs/collect_results.py $(OUT)

ablate: install  ## What each part of both methods does; twenty minutes, goes on where it stopped.
	$(BIN)/python experiments/ablate_online.py --out $(OUT)/ablate
	$(BIN)/python docs/collect_results.py $(OUT)

predictor: $(addprefix predictor-,nasbench201 darts transnas101_micro)  ## Trains the predictors that come with the package; 40 minutes, goes on where it stopped.

predictor-%: install
	$(BIN)/ednag predictor train --space $* --out $(OUT)/predictor/$*.npz
	cp $(OUT)/predictor/$*.npz src/ednag_jax/predictor/files/

prove-predictor: install  ## The predictor on tasks that it has not seen; half an hour, goes on where it stopped.
	$(BIN)/python experiments/prove_predictor.py --out $(OUT)/prove_predictor
	$(BIN)/python docs/collect_results.py $(OUT)

generate-nb201: install  ## Architectures for CIFAR-10 and -100 without a query; half an hour, goes on where it stopped.
	$(BIN)/python experiments/generate_nb201.py --out $(OUT)/generate_nb201
	$(BIN)/python docs/collect_results.py $(OUT)

prove-spaces: install  ## The same of DARTS and TransNAS-Bench-101 micro; ten minutes, goes on where it stopped.
	$(BIN)/python experiments/prove_spaces.py --out $(OUT)/prove_spaces
	$(BIN)/python docs/collect_results.py $(OUT)

generate-digits: install  ## Generated architectures, trained, against random ones; half an hour, goes on where it stopped.
	$(BIN)/python experiments/generate_digits.py --out $(OUT)/generate_digits
	$(BIN)/python docs/collect_results.py $(OUT)

bbob: install  ## EDNAG on continuous functions, beside evosax's algorithms; ten minutes, goes on where it stopped.
	$(BIN)/python experiments/bbob.py --out $(OUT)/bbob
	$(BIN)/python docs/collect_results.py $(OUT)

bench: install  ## Speed, beside its baselines; PARTS="predictor meta" measures some of engine, denoise, online, devices, predictor, meta.
	$(BIN)/python perf/run.py $(PARTS)

readme: install  ## Puts the results of a finished reproduce-nb201 into the README.
	$(BIN)/python docs/update_readme.py $(OUT)/nb201/results.json

ci: lint types docs test test-slow  ## What a change must pass; the slow tests run every experiment, small.

clean:  ## Removes what was built.
	rm -rf $(VENV) build dist *.egg-info src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
