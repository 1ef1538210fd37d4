# Everything that people do with this repository. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test check live browser postgres faults soak sandbox vela bench shell clean schema roles fields lock

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
# What a run needs, and what development adds. Each is installed once per change of its lock.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
# What depends on the database that is used: the engine and the vault, the laws, storms and threads, lists and their queries.
POSTGRES_TESTS = $(wildcard $(addprefix tests/,reconcile/test_*.py vault/test_[!p]*.py \
	$(addprefix */,test_storm.py test_*models.py test_*runs.py test_*usage*.py test_queries.py) \
	$(addprefix tenancy/,test_laws.py test_ledger.py test_invitations.py test_namespaces.py) \
	policies/test_converging.py policies/test_findings.py \
	clusters/test_watch_[ri]*.py access/test_proxy_[so][nb]*.py))
BROWSER_TESTS := $(wildcard tests/browser/test_*.py)
CHROMIUM := $(wildcard /usr/bin/chromium)
# What runs on processes and a browser gets another chance or two, and tells of it; what hangs does not.
AGAIN := --reruns 2 --rerun-except '^Failed: Timeout'
# Two clusters' controllers are waited for at a time; a module keeps to one worker and its clusters.
LIVE := -n 2 --dist loadfile -m live
BROWSER := -n 2 --dist loadfile -m browser
NO_CHROMIUM := There is no /usr/bin/chromium (on Debian: apt-get install chromium).
TEMPLATES := $(wildcard templates */templates)

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(DEV) ## Make the virtual environment with everything for development

run: $(RUNTIME) ## Start all of KubeNova with demo content; KUBECONFIG_FILE=… for a cluster of yours, PORT=… PROXY_PORT=…
	@exec $(MANAGE) run $(if $(KUBECONFIG_FILE),--kubeconfig '$(KUBECONFIG_FILE)') $(if $(PORT),--port $(PORT)) $(if $(PROXY_PORT),--proxy-port $(PROXY_PORT)) $(ARGS)

test: $(DEV) ## Run all tests: the fast ones in parallel, those on a real API server, those in Chromium
	$(BIN)/pytest -n 2 --dist worksteal -m 'not live and not browser and not faults' $(ARGS)
	$(BIN)/pytest $(LIVE) $(AGAIN) $(ARGS)
	$(if $(BROWSER_TESTS),$(if $(CHROMIUM),$(BIN)/pytest $(BROWSER) $(AGAIN) $(ARGS),@echo 'Browser tests left out. $(NO_CHROMIUM)'))

check: $(DEV) ## Check format, style, types, architecture, templates, migrations and API schema
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(if $(TEMPLATES),$(BIN)/djlint --lint --quiet $(TEMPLATES))
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check
	$(MANAGE) spectacular --fail-on-warn --validate --file /dev/null

live: $(DEV) ## Run the tests on a real API server only
	$(BIN)/pytest $(LIVE) $(ARGS)

browser: $(DEV) ## Run the tests in Chromium only
	$(if $(CHROMIUM),$(BIN)/pytest $(BROWSER) $(ARGS),@echo '$(NO_CHROMIUM)'; exit 1)

postgres: $(DEV) ## Run on a server what the database matters to: DATABASE_URL=postgres://…
	@[[ "$${DATABASE_URL:-}" == postgres* ]] || { echo 'Name a server: make postgres DATABASE_URL=postgres://user@host/postgres'; exit 1; }
	$(BIN)/pytest -n 2 --dist worksteal -m 'not live and not browser and not faults' $(POSTGRES_TESTS) $(ARGS)

faults: $(DEV) ## Break a whole KubeNova in every known way; writes docs/reliability.md
	KUBENOVA_RELIABILITY=docs/reliability.md $(BIN)/pytest -m faults tests/faults $(ARGS)

soak: $(DEV) ## Break it at random for SECONDS=3600, with SEED=1; adds its row to docs/reliability.md
	KUBENOVA_RELIABILITY=docs/reliability.md KUBENOVA_SOAK_SECONDS=$(or $(SECONDS),3600) KUBENOVA_SOAK_SEED=$(or $(SEED),1) \
		$(BIN)/pytest -s -m faults tests/faults/test_soak.py $(ARGS)

sandbox: $(RUNTIME) ## Start a Kubernetes control plane on this machine: NAME=sandbox
	$(MANAGE) sandbox up --name $(or $(NAME),sandbox)

vela: $(RUNTIME) ## Build KubeVela, for the live tests and the benchmark that ask it and no stand-in
	$(BIN)/python -m sandbox.vela

bench: $(DEV) ## Run all benchmarks, for an hour; ARGS=--busy where other work is done as well
	$(BIN)/python benchmarks/proxy.py
	$(BIN)/python benchmarks/repair.py $(ARGS)
	$(BIN)/python benchmarks/onboard.py $(ARGS)
	$(BIN)/python benchmarks/converge.py $(ARGS)
	for workers in 1 2 4; do $(BIN)/python benchmarks/converge.py --tenants 300 --rounds 3 --workers $$workers --drains 1 --json .run/benchmarks/converge-$$workers.json $(ARGS); done
	$(BIN)/python benchmarks/applications.py $(ARGS)
	$(BIN)/python benchmarks/policyset.py $(ARGS)
	$(BIN)/python benchmarks/restart.py $(ARGS)
	$(BIN)/python benchmarks/idle.py $(ARGS)
	$(BIN)/python benchmarks/onboard.py --clusters 10 --json .run/benchmarks/onboard-10.json $(ARGS)

shell: $(RUNTIME) ## Open a Python shell with the models at hand
	$(MANAGE) shell

clean: ## Forget what running and testing have made: state, sandbox, caches, collected files
	-if [ -x $(BIN)/python ]; then $(MANAGE) sandbox down --name sandbox; fi
	rm -rf .run staticfiles .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

schema: $(RUNTIME) ## Write the OpenAPI description to docs/openapi.yaml
	$(MANAGE) spectacular --fail-on-warn --validate --file docs/openapi.yaml

roles: $(RUNTIME) ## Write the table of roles to docs/roles.md
	$(BIN)/python -c 'from clusters.adapters.role_matrix import page; print(page(), end="")' > docs/roles.md

fields: $(RUNTIME) ## Write the table of fields and restrictions to docs/fields.md
	$(BIN)/python -c 'from tenancy.rules.page import page; print(page(), end="")' > docs/fields.md

lock: ## Choose versions anew and lock them with hashes (needs uv)
	@command -v uv >/dev/null || { echo 'make lock needs uv: https://docs.astral.sh/uv/'; exit 1; }
	$(call lock,requirements.txt,)
	$(call lock,requirements-dev.txt,--extra dev -c requirements.txt)

# $(call lock,file,options): the header is ours, so that no index or path of a machine gets in.
define lock
uv pip compile pyproject.toml $(2) --python-version 3.11 --universal --generate-hashes --upgrade --no-strip-extras \
	--no-annotate --no-header --no-emit-index-url --quiet -o $(1).new >/dev/null
{ echo '# Locked by `make lock` from pyproject.toml: exact versions, every file by its hash.'; cat $(1).new; } > $(1)
rm $(1).new
endef

$(RUNTIME): requirements.txt | $(BIN)/python
	@$(call install,requirements.txt)
	@touch $@

$(DEV): requirements-dev.txt | $(BIN)/python
	@$(call install,requirements-dev.txt)
	@touch $@ $(RUNTIME)

# $(call install,file): uv is faster where it is there, pip is what every machine has.
define install
echo 'Installing $(1) into $(VENV) …'; \
{ command -v uv >/dev/null && uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1); } \
|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
endef

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo \
		'KubeNova needs Python 3.11 and found no $(PYTHON). Install it, or name it: make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); command -v uv >/dev/null && uv venv --quiet --seed --python $(PYTHON) $(VENV); } \
		|| { echo 'Cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3.11-venv'; exit 1; }
