# make bench   set up, then run the benchmark and write a report
# make test    set up, then lint and test
# make setup   only set up: .venv with the pinned, hash-checked packages, and pretrained
#              weights; with uv, or with plain pip: make setup INSTALLER=pip; where there
#              is an NVIDIA GPU, also what the arms need for it
# make clean   take the set-up away again
# make test-oldest   test with the oldest packages that work, in an environment of their own

PYTHON ?= python3
INSTALLER ?= uv
VENV := .venv
OLDEST := .venv-oldest
STAMP := .requirements-installed
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder
ARGS ?=

.PHONY: bench test test-oldest setup clean

bench: setup
	$(VENV)/bin/python -m bench all $(ARGS)

test: $(VENV)/$(STAMP)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/python $(PYTEST) $(ARGS)

test-oldest: $(OLDEST)/$(STAMP)
	$(OLDEST)/bin/python $(PYTEST) $(ARGS)

setup: $(VENV)/$(STAMP)
	@$(PYTHON) install.py --gpu --installer $(INSTALLER) $(VENV) $(ARGS)

$(VENV)/$(STAMP): requirements.lock
$(OLDEST)/$(STAMP): requirements-oldest.lock
%/$(STAMP): setup.lock weights.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  sys.exit(None if (3, 11) <= v <= (3, 13) else \
	  "Python 3.11, 3.12 or 3.13 is needed, found %d.%d. Try: make PYTHON=python3.12 setup" % v)'
	$(PYTHON) install.py --installer $(INSTALLER) --lock $(filter require%,$^) $*
	$*/bin/python -m shared.package_index
	touch $@

clean:
	@test ! -x $(VENV)/bin/python || $(VENV)/bin/python -c \
	  'from shared.files import cache_folder; \
	  print(f"Kept: reports/, and images and weights in {cache_folder()}")'
	rm -rf $(VENV) $(OLDEST)
