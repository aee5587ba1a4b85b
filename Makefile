# Every target needs python3 (3.11) and make, nothing else: the first one makes .venv and installs the pinned packages.
# PORT, DEMO and GAPLESS_HOME from the environment or the command line win over the defaults here.
PORT ?= 8000
DEMO ?= 1
export PORT DEMO
PYTHON3 ?= python3
RUNTIME = $(PYTHON3) project/bootstrap.py
DEVELOPMENT = $(PYTHON3) project/bootstrap.py --development
ARGS ?=
SECONDS ?= 20

.DEFAULT_GOAL := help
.PHONY: help run test lint fuzz chaos simulate planted stress bench web executor worker beat papervenue watchdog backup restore reset seed

help: ## show this list
	@awk -F ':.*## ' '/^[a-z ]+:.*## / { \
	  roles = $$1 ~ / /; printf "  make %-8s %s%s\n", roles ? "<role>" : $$1, $$2, roles ? ": " $$1 : "" }' Makefile

run: ## start everything on http://127.0.0.1:8000 (PORT=… DEMO=0 GAPLESS_HOME=…)
	@$(RUNTIME) python manage.py run

test: ## run the test suite, except what needs recorded market data (ARGS="-k word" for a part)
	@$(DEVELOPMENT) sh docker/browser.sh
	@$(DEVELOPMENT) python -m pytest -m "not recorded_data" $(ARGS)

lint: ## check style and types
	@$(DEVELOPMENT) ruff check .
	@$(DEVELOPMENT) ruff format --check .
	@$(DEVELOPMENT) mypy .

chaos: ## kill the roles of a running product and judge its books (KILLS=20 PAUSES= PGKILLS= SEED= ARGS="--long --record")
	@$(DEVELOPMENT) python -m tests.chaos --kills $(or $(KILLS),20) $(if $(PAUSES),--pauses $(PAUSES)) \
	  $(if $(PGKILLS),--pgkills $(PGKILLS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: ## feed each venue dialect broken messages for SECONDS (20) each
	@$(DEVELOPMENT) python -m tests.fuzz.run --seconds $(SECONDS)

simulate: ## run the order core in simulated worlds, each repeatable by its seed (SEEDS=2000 START=0 ARGS="--trace SEED")
	@$(DEVELOPMENT) python -m tests.simulation.run --seeds $(or $(SEEDS),2000) --start $(or $(START),0) $(ARGS)

planted: ## plant every kind of difference in the paper venue, look for each; SEEDS a kind (SEEDS=20 ARGS="--record" or "--processes")
	@$(DEVELOPMENT) python -m tests.reconciliation.planted $(if $(findstring --processes,$(ARGS)),,--seeds $(or $(SEEDS),20)) $(ARGS)

stress: ## one executor over fifty venues: a rate, a storm of faults, the venues' verdict (VENUES=50 SECONDS=600 ARGS=--record)
	@$(DEVELOPMENT) python -m tests.stress --venues $(or $(VENUES),50) --seconds $(if $(filter command environment,$(origin SECONDS)),$(SECONDS),600) $(ARGS)

bench: ## measure the order path beside raw ccxt, and reconciliation (ARGS="--quick --part reconciliation")
	@$(DEVELOPMENT) python -m bench $(ARGS)

web executor worker beat papervenue watchdog: ## run one role alone on DATABASE_URL, or on the database of `make run`
	@$(RUNTIME) python manage.py role $@

seed: ## make the first admin, its token and the demo in a database without them
	@$(RUNTIME) python manage.py seed_demo

backup: ## write database and keys to one file (FILE=… to name it)
	@$(RUNTIME) python manage.py backup $(if $(FILE),"$(FILE)")

restore: ## replace everything by a backup: make restore FILE=…
	@$(RUNTIME) python manage.py restore "$(FILE)" $(if $(YES),--yes)

reset: ## delete all data in GAPLESS_HOME (asks first; YES=1 does not)
	@YES="$(YES)" $(RUNTIME) python -m project.home
