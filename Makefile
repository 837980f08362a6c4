# What a person does with Tallybook, one word each; `make` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install demo run test test-llm fuzz bench bench-full bench-peers mutants soak stripe-peers check lock clean

# PYTHON=… names the Python to use, else the first of these that fits; PORT=… and DATA=… reach
# `demo` and `run`; JOBS is how many tests run beside one another.
PYTHON ?=
CANDIDATES = $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
JOBS ?= 2
VENV := .venv
STAMP := $(VENV)/.installed
FLAGS = $(if $(PORT),--port $(PORT)) $(if $(DATA),--data-dir "$(DATA)")
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input

# What the stamp must say: the folder (a moved .venv is broken) and what was installed from.
WANTED = "$$(cat pyproject.toml ops/client/pyproject.toml requirements.txt Makefile | cksum) $(CURDIR)"
FITS = import sys; sys.exit(not ((3, 11) <= sys.version_info < (3, 15) and sys.implementation.name == "cpython"))
VERSION = import sys; print("%d.%d" % sys.version_info[:2])

help: ## list the targets
	@echo "Tallybook: credits for Stripe subscriptions. First: make demo"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

install: ## make or refresh .venv with all tools (PYTHON=… names the Python)
	@if [ "$$(cat $(STAMP) 2>/dev/null)" = $(WANTED) ] && \
	    version=$$($(VENV)/bin/python -I -S -c '$(VERSION)' 2>/dev/null) && \
	    { [ -z "$(PYTHON)" ] || [ "$$version" = "$$($(PYTHON) -I -S -c '$(VERSION)')" ]; }; \
	then exit 0; fi; \
	$(find_python); \
	$(make_venv); \
	$(install_locked); \
	$(PIP) install --quiet --no-deps --no-build-isolation --editable . --editable ops/client && \
	$(PIP) check >> $(VENV)/install.log || { tail -n 5 $(VENV)/install.log; exit 1; }; \
	printf '%s' $(WANTED) > $(STAMP) && echo "Installed in $(VENV)."

# Sets $$python, or ends with a sentence.
define find_python
python=; seen=; \
for name in $(CANDIDATES); do \
  command -v "$$name" >/dev/null 2>&1 || continue; \
  version=$$("$$name" -I -S -c '$(VERSION)' 2>/dev/null) || continue; \
  "$$name" -I -S -c '$(FITS)' || { seen="$$seen, $$name is $$version"; continue; }; \
  "$$name" -I -c 'import ensurepip, venv' 2>/dev/null || { seen="$$seen, $$name ($$version) \
lacks ensurepip (on Debian and Ubuntu: apt install python$$version-venv)"; continue; }; \
  python=$$name; break; \
done; \
if [ -z "$$python" ]; then \
  echo "Tallybook needs CPython 3.11 to 3.14 with ensurepip. Tried $(CANDIDATES)$${seen:-, none of these is here}." \
       "Install one, or name it: make install PYTHON=/path/to/python" >&2; \
  exit 1; \
fi
endef

# A .venv with a stamp was whole, and is refreshed in place; any other may be half of one.
define make_venv
clear=; \
[ -f $(STAMP) ] && [ "$$(cut -d' ' -f3- $(STAMP))" = "$(CURDIR)" ] && \
[ "$$($(VENV)/bin/python -I -S -c '$(VERSION)' 2>/dev/null)" = "$$version" ] || clear=--clear; \
rm -f $(STAMP); \
if [ -n "$$clear" ]; then \
  echo "Making $(VENV) with $$python ($$version) …"; \
  "$$python" -m venv --clear $(VENV) || exit 1; \
fi
endef

# Wheels only: nothing is compiled here, and nothing but what the lock's hashes say is run. The lock
# is complete, so nothing is resolved: pip resolves extras again, finds a newer release than the
# lock's, and ends for want of its hash. `pip check` says whether the lock fits together.
define install_locked
echo "Installing $$(grep -c == requirements.txt) packages, the first time in a minute or two …"; \
{ $(PIP) install --require-hashes --no-deps --only-binary :all: -r requirements.txt 2>&1 || echo '!failed'; } | { \
  count=0; failed=0; \
  while IFS= read -r line; do \
    printf '%s\n' "$$line" >> $(VENV)/install.log; \
    case "$$line" in \
      Collecting*|Processing*) count=$$((count + 1)); [ $$((count % 10)) -ne 0 ] || echo "  $$count packages found" ;; \
      Installing*) echo "  unpacking" ;; \
      ERROR*) echo "$$line" ;; \
      '!failed') failed=1 ;; \
    esac; \
  done; \
  [ $$failed = 0 ] || { echo "The installation failed; all of it: $(VENV)/install.log"; exit 1; }; \
} || exit 1; \
$(PIP) check >> $(VENV)/install.log || { tail -n 5 $(VENV)/install.log; exit 1; }
endef

demo: install ## start everything, play six customers, show the result, stay up (DEMO_EXIT=1: end)
	@$(VENV)/bin/tallybook demo $(FLAGS)

run: install ## start everything without them (PORT=…, DATA=…)
	@$(VENV)/bin/tallybook up $(FLAGS)

# Whatever the surroundings say, compiled modules are kept: else each of the tests' many processes
# compiles them anew.
check mutants test: export PYTHONDONTWRITEBYTECODE =

test: install ## run the tests, JOBS=2 at a time
	@$(VENV)/bin/pytest -n $(JOBS) --dist worksteal

FUZZ_S ?= 600

fuzz: install ## hold every answer to the OpenAPI description for FUZZ_S seconds, by each key
	@$(VENV)/bin/python -m ops.fuzzing --seconds $(FUZZ_S)

# The sizes of `bench`, which is to end within 20 minutes on two cores; a day for a million accounts
# takes it past that, so ask for one alone: PARTS=grants GRANT_ACCOUNTS_MAX=1000000.
OUT ?=
ACCOUNTS ?= 10000
CALLERS ?= 64
ROUNDS ?= 5
ROUND_S ?= 5
WARM_UP_S ?= 1
ENTRIES ?= 100000
ENTRIES_MAX ?= 10000000
READS ?= 20
WEBHOOK_CUSTOMERS ?= 1000
INBOX_EVENTS ?= 1000000
HISTORY_EVENTS ?= 1000
PAGE_ACCOUNTS ?= 100000
SEAL_ENTRIES ?= 1000000
GROWTH_ENTRIES ?= 300000
GROWTH_LOTS ?= 10000
GROWTH_SUBSCRIPTIONS ?= 30000
GRANT_ACCOUNTS ?= 10000
GRANT_ACCOUNTS_MAX ?= 200000
GRANT_SPENDS_S ?= 15
DELIVERIES ?= 2000
PARTS ?= uniform hot http limits webhooks deliveries reads growth pages seals grants

# wrk sends what is measured over HTTP; only Debian's packages have it.
bench: install ## measure speed as ratios to floors (OUT=FILE for JSON; ROUNDS=… and other sizes)
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet wrk; } >/dev/null 2>&1 || true
	@$(VENV)/bin/python -m ops.benchmarks $(if $(OUT),--out "$(OUT)") --parts $(PARTS) \
	  --accounts $(ACCOUNTS) --callers $(CALLERS) --rounds $(ROUNDS) --round-s $(ROUND_S) \
	  --warm-up-s $(WARM_UP_S) --entries $(ENTRIES) --entries-max $(ENTRIES_MAX) --reads $(READS) \
	  --webhook-customers $(WEBHOOK_CUSTOMERS) --inbox-events $(INBOX_EVENTS) \
	  --history-events $(HISTORY_EVENTS) --deliveries $(DELIVERIES) --page-accounts $(PAGE_ACCOUNTS) --seal-entries $(SEAL_ENTRIES) --grant-accounts $(GRANT_ACCOUNTS) \
	  --growth-entries $(GROWTH_ENTRIES) --growth-lots $(GROWTH_LOTS) \
	  --growth-subscriptions $(GROWTH_SUBSCRIPTIONS) \
	  --grant-accounts-max $(GRANT_ACCOUNTS_MAX) --grant-spends-s $(GRANT_SPENDS_S)

# Hours, and 30 GB: alone on a machine. What it must show: flat from the default sizes to these.
bench-full: install ## the same at 10 million sealed entries, a million accounts a day, ten million entries
	@$(MAKE) bench SEAL_ENTRIES=10000000 GRANT_ACCOUNTS_MAX=1000000 ENTRIES_MAX=10000000 \
	  GROWTH_ENTRIES=10000000 GROWTH_LOTS=100000 GROWTH_SUBSCRIPTIONS=1000000

# Others beside ours. Their packages stand in a folder of their own; pgledger, which no registry has, is
# fetched by whoever runs this: PEERS is the folder that has pgledger/ in it.
RIVALS := .bench-peers
RIVALS_PYTHON ?= fastapi==0.165.0 uvicorn[standard]==0.54.0 asyncpg==0.32.0 dj-stripe==2.11.0 \
  psycopg[binary]==3.3.9 gunicorn==27.0.1
RIVALS_NODE ?= @supabase/stripe-sync-engine@0.48.5
WRITE ?=

bench-peers: install ## measure floors, ours and peers in one run (PEERS=FOLDER; WRITE=1: into the page)
	@[ -f $(RIVALS)/.python ] || { $(VENV)/bin/python -m venv --clear $(RIVALS) && \
	  $(RIVALS)/bin/python -m pip --disable-pip-version-check install --quiet $(RIVALS_PYTHON) && \
	  touch $(RIVALS)/.python; }
	@[ -f $(RIVALS)/.node ] || { npm install --silent --no-audit --no-fund --prefix $(RIVALS)/node $(RIVALS_NODE) && \
	  touch $(RIVALS)/.node; } || echo "Without npm, stripe-sync-engine is left out."
	@$(VENV)/bin/python -m ops.benchmarks.peers --python $(RIVALS)/bin/python \
	  $(if $(PEERS),--pgledger "$(PEERS)/pgledger") $(if $(WRITE),--write) \
	  $$([ ! -f $(RIVALS)/.node ] || echo --modules $(RIVALS)/node)

mutants: install ## plant faults and see the tests find them (ONLY=text, JOBS=n side by side)
	@$(VENV)/bin/python -m ops.mutants --only "$(ONLY)" --jobs $(JOBS)

# The soak: SOAK_S seconds of load, in which SOAK_DAYS days of the book pass.
SOAK_S ?= 120
SOAK_DAYS ?= 3
SOAK_ACCOUNTS ?= 20

soak: install ## load a real book, restart its parts, check that nothing is lost (SOAK_S=120)
	@$(VENV)/bin/python -m ops.soak --seconds $(SOAK_S) --days $(SOAK_DAYS) --accounts $(SOAK_ACCOUNTS)

# localstripe, a Stripe that nobody here wrote, stands in an environment of its own.
LOCALSTRIPE ?= 1.15.10
STRIPES := .stripe-peers

stripe-peers: install ## drive localstripe and our pretend Stripe by Stripe's SDK, compare the ends
	@[ -x $(STRIPES)/bin/localstripe ] || { $(VENV)/bin/python -m venv --clear $(STRIPES) && \
	  $(STRIPES)/bin/python -m pip --disable-pip-version-check install --quiet localstripe==$(LOCALSTRIPE); }
	@$(VENV)/bin/python -m ops.stripe_peers --localstripe $(STRIPES)/bin/localstripe

# LiteLLM is large, and stands in an environment of its own.
LITELLM ?= 1.110.2
LLM := .llm-peers

test-llm: install ## see 1,000 calls by LiteLLM, with a fake provider, stay within their budget
	@[ -f $(LLM)/.installed ] || { $(VENV)/bin/python -m venv --clear $(LLM) && \
	  $(LLM)/bin/python -m pip --disable-pip-version-check install --quiet litellm==$(LITELLM) \
	  --editable 'ops/client[prices]' && touch $(LLM)/.installed; }
	@$(LLM)/bin/python ops/llm_peers.py $(VENV)/bin/tallybook

check: install ## lint, format, types, imports, tidiness
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest tests/test_tidy.py

# Not after `install`, which ends where pyproject.toml names what the lock lacks.
lock: ## write requirements.txt anew from pyproject.toml (UPGRADE=1: newer versions too)
	@[ -x $(VENV)/bin/python ] || { echo "First: make install" >&2; exit 1; }; \
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(VENV)/bin/python -m venv "$$tools" && \
	"$$tools/bin/python" -m pip --disable-pip-version-check install --quiet uv && \
	"$$tools/bin/uv" pip compile pyproject.toml --group dev --extra otel --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.txt && \
	echo "requirements.txt holds $$(grep -c == requirements.txt) packages."

clean: ## remove .venv and caches; .tallybook, the data, stays
	rm -rf $(VENV) $(STRIPES) $(RIVALS) $(LLM) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
