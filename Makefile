# `make demo` and `make test` are all a newcomer needs; `make demo APP=0` never opens the App.

VENV ?= .venv
APP ?= 1
BIN := $(VENV)/bin

.PHONY: demo test bench clean

demo: $(VENV)/.installed
	$(BIN)/legpose demo $(if $(filter 0,$(APP)),--no-app,--app)

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(PYTEST)

bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks

$(VENV)/.installed: pyproject.toml scripts/bootstrap.sh
	scripts/bootstrap.sh $(VENV)

$(VENV)/.installed-dev: pyproject.toml scripts/bootstrap.sh
	scripts/bootstrap.sh $(VENV) '[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info demo
