# make demo      set up, and fit Gaussian mixtures to the Old Faithful geyser
# make test      set up, and run the tests
# make bench     set up, and time fastem beside its peers (tens of minutes)
# make lint      style, types and the compiled layer's style
# make docs      set up, and build the documentation in build/docs/html
# make sanitize  the compiled layer and the tests under sanitizers (half an hour)
# make fuzz      broken model files, tables and command lines, FUZZ_SECONDS (60) for each
# make wheel-check  the wheel as a user meets it, and on emulated processors (an hour; PARTS=pack)
# make build     compile again after a change to the kernels
# make clean     remove everything made here

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
KERNELS := $(wildcard src/fastem/_kernels/*.hpp src/fastem/_kernels/*.p*x*)

.PHONY: demo test bench lint docs sanitize fuzz wheel-check build clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastem needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

# Compiled once; then a stamp for each set of extras, so that the demo need not wait for the linters.
$(VENV)/compiled: pyproject.toml setup.py $(KERNELS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# fastem is there already: what is installed is what the extras name
$(VENV)/stamp-%: $(VENV)/compiled
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'fastem[$(subst +,$(comma),$*)]'
	@touch $@
comma := ,

demo: $(VENV)/stamp-cli+plot
	@mkdir -p demo
	$(BIN)/python examples/old_faithful.py
	$(BIN)/fastem fit examples/faithful.csv -k 3 --covariance tied --tol 1e-9 --max-iter 1000 --seed 0 -o demo/faithful.fastem
	$(BIN)/fastem plot demo/faithful.fastem examples/faithful.csv -o demo/faithful.png

test: $(VENV)/stamp-test-all
	$(BIN)/python -m pytest

bench: $(VENV)/stamp-bench $(VENV)/stamp-bench-onedal
	$(BIN)/python -m benchmarks

$(VENV)/stamp-bench-onedal: $(VENV)/stamp-bench
	$(BIN)/python -m pip install --quiet 'fastem[bench-onedal]' || echo "oneDAL has no wheel for this machine: it is left out"
	@touch $@

lint: $(VENV)/stamp-test-all+lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint src/fastem/_kernels

docs: $(VENV)/stamp-docs
	$(BIN)/python -m sphinx -n -W --keep-going -b html docs build/docs/html

sanitize: $(VENV)/stamp-test
	bash tests/sanitize/run.sh $(BIN)/python

fuzz: $(VENV)/stamp-test+fuzz
	$(BIN)/python tests/fuzz/run.py

wheel-check: | $(BIN)/python
	bash tests/wheels/run.sh $(BIN)/python $(PARTS)

build: $(VENV)/compiled
	$(BIN)/python -m pip install --quiet -e .

clean:
	rm -rf $(VENV) build dist demo src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	rm -f src/fastem/_kernels/*.so src/fastem/_kernels/*.pyd src/fastem/_kernels/*.cpp
	rm -rf docs/gallery docs/reference/generated
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
