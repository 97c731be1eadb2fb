# Plumbline's build. `make demo` and `make check` install what they need and do everything else.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
PYTHON ?= /usr/bin/python3
CFLAGS ?= -O2 -g
SANITIZE ?=
GEN := $(BUILD)/gen
STD := -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Werror
CPPFLAGS += -Iharness -I$(GEN)
COMPILE := $(CC) $(STD) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
LDLIBS := -lyaml -ljansson -lpthread

MODELS := $(shell find models -name '*.yaml' -o -name '*.py')
SCENARIOS := $(wildcard scenarios/*.yaml)
SOURCES := $(filter-out harness/cli/main.c,$(wildcard harness/*/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: all gen deps demo check check-peers check-daemon selftest-carriers soak-legal unit e2e asan tsan fuzz-ring coverage format install uninstall clean FORCE
.DELETE_ON_ERROR:
all: $(BUILD)/plumbline

# --- what is generated from models/ and scenarios/ ---
# The list of generated C files is a makefile of its own, which make brings up to date before anything else.
gen: $(GEN)/.stamp
$(GEN)/.stamp: $(GEN)/sources.mk
	@touch $@
$(GEN)/sources.mk: $(MODELS) $(SCENARIOS) scenarios Makefile
	@mkdir -p $(GEN)
	@echo "GEN $(GEN)"
	@$(PYTHON) models/generate.py models $(GEN) scenarios
	@$(PYTHON) models/gen/vhost_user.py models/bindings/vhost-user.yaml $(GEN)/vhost_user.new
	@cmp -s $(GEN)/vhost_user.new $(GEN)/pl_vhost_user.h || cp $(GEN)/vhost_user.new $(GEN)/pl_vhost_user.h
	@$(PYTHON) models/gen/spsc.py models/bindings/spsc.yaml $(GEN)/spsc.new
	@cmp -s $(GEN)/spsc.new $(GEN)/pl_spsc.h || cp $(GEN)/spsc.new $(GEN)/pl_spsc.h
	@rm -f $(GEN)/vhost_user.new $(GEN)/spsc.new
	@$(PYTHON) models/gen/embed.py scenarios $(GEN)/pl_scenarios.c
	@echo "GENERATED := $$(cd $(GEN) && echo *.c)" >$@
WITHOUT_SOURCES := deps demo check check-daemon asan tsan fuzz-ring coverage format uninstall clean
ifneq ($(filter-out $(WITHOUT_SOURCES),$(or $(MAKECMDGOALS),all)),)
include $(GEN)/sources.mk
endif
GENERATED_OBJECTS := $(GENERATED:%.c=$(BUILD)/genobj/%.o)

# --- the program ---
# Objects follow the headers that they include, the generated ones too, and the compiler's command line.
$(BUILD)/command: FORCE
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' >$@
$(OBJECTS) $(BUILD)/harness/cli/main.o: $(BUILD)/%.o: %.c $(BUILD)/command | $(GEN)/sources.mk
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(COMPILE) -MMD -MP -c $< -o $@
$(GENERATED_OBJECTS): $(BUILD)/genobj/%.o: $(GEN)/%.c $(BUILD)/command
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(COMPILE) -MMD -MP -c $< -o $@
$(BUILD)/libplumbline.a: $(OBJECTS) $(GENERATED_OBJECTS)
	@rm -f $@
	@ar qcs $@ $^
$(BUILD)/plumbline: $(BUILD)/harness/cli/main.o $(BUILD)/libplumbline.a
	@echo "LD  $@"
	@$(COMPILE) $^ $(LDLIBS) -o $@
-include $(OBJECTS:.o=.d) $(GENERATED_OBJECTS:.o=.d) $(BUILD)/harness/cli/main.d $(UNIT_TESTS:=.d)

# --- tests ---
$(UNIT_TESTS): $(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libplumbline.a
	@mkdir -p $(@D)
	@echo "LD  $@"
	@$(COMPILE) -MMD -MP -MT $@ -MF $@.d $< $(BUILD)/libplumbline.a $$(pkg-config --cflags --libs check) $(LDLIBS) -o $@
unit: $(UNIT_TESTS)
	@test -n "$(UNIT_TESTS)" || { echo "tests/unit holds no test_*.c: nothing was tested" >&2; exit 1; }
	@failed=; for t in $(UNIT_TESTS); do $$t || failed="$$failed $$t"; done; \
	  test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }
e2e: $(BUILD)/plumbline $(UNIT_TESTS)
	@PLUMBLINE=$(abspath $(BUILD)/plumbline) CC=$(CC) $(PYTHON) -m pytest tests/e2e -q -p no:cacheprovider -n 2 --dist loadfile $(PYTEST_ARGS)
# A part of the independent peers; `make e2e` meets all of them, `make check-peers` in every setting.
check: deps
	@$(SUBMAKE) all
	@$(SUBMAKE) unit
	@PLUMBLINE_E2E=$${PLUMBLINE_E2E:-quick} $(SUBMAKE) e2e
# Longer than CI has time for: every peer, fault and misbehaviour in every setting.
check-peers: all
	@PLUMBLINE_E2E=full PLUMBLINE=$(abspath $(BUILD)/plumbline) $(PYTHON) -m pytest tests/e2e/test_peers.py tests/e2e/test_peers_io.py \
	  -q -p no:cacheprovider
# The storage daemon through the gateway: seeds by the dozen, everything exhaustively on illegal rings, and the harness
# and its reference device on memory that somebody else writes all over, under AddressSanitizer.
check-daemon: BUILD_ARGS = BUILD=$(BUILD)/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
check-daemon:
	@$(SUBMAKE) $(BUILD_ARGS) all
	@PLUMBLINE_DAEMON_LONG=1 PLUMBLINE=$(abspath $(BUILD)/asan/plumbline) \
	  $(PYTHON) -m pytest tests/e2e/test_storage_daemon.py tests/e2e/test_scribbler.py -q -p no:cacheprovider
# Every mutant over every carrier; and ten million random legal exchanges, twice as many messages, that fail nothing.
selftest-carriers: all
	@for carrier in unix unix-stream spsc; do echo "=== $$carrier"; $(BUILD)/plumbline selftest --carrier $$carrier || exit 1; done
SOAK_MESSAGES ?= 20000000
SOAK_SEED ?= 1
soak-legal: all
	@$(BUILD)/plumbline selftest --random $(SOAK_MESSAGES) --seed $(SOAK_SEED)
demo: deps
	@$(SUBMAKE) all
	@PLUMBLINE=$(BUILD)/plumbline tests/demo.sh

# The same tests against slower builds, each in a directory of its own: with more time, and with fewer of the peers.
SLOW := CK_TIMEOUT_MULTIPLIER=10 PLUMBLINE_TEST_SECONDS=240 PLUMBLINE_QUICK=1 PLUMBLINE_E2E=quick
# What meets other programs than ours, or brings sanitizers of its own, is met by `make check`.
ASAN_LEAVES_OUT := --ignore=tests/e2e/test_peers_io.py --ignore=tests/e2e/test_peers.py --ignore=tests/e2e/test_docs.py
asan: BUILD_ARGS = BUILD=$(BUILD)/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" \
  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
asan:
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e PYTEST_ARGS="$(ASAN_LEAVES_OUT)"
tsan: BUILD_ARGS = BUILD=$(BUILD)/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE=-fsanitize=thread
tsan:
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e
coverage: BUILD_ARGS = BUILD=$(BUILD)/coverage CFLAGS="-O0 -g --coverage" CC=gcc
coverage:
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e
	@gcovr -r . --object-directory $(BUILD)/coverage --filter harness/ --print-summary

# --- fuzz targets: libFuzzer programs, each with its corpus directory as an argument ---
FUZZ := clang $(STD) $(CPPFLAGS) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
fuzz-ring: $(BUILD)/fuzz/ring
$(BUILD)/fuzz/ring: fuzz/ring_target.c $(wildcard harness/ring/*.c harness/ring/*.h)
	@mkdir -p $(@D)
	@echo "LD  $@"
	@$(FUZZ) $(filter %.c,$^) -o $@

# --- the rest ---
deps:
	@.ci/deps
format:
	clang-format -i $$(find harness fuzz tests -name '*.c' -o -name '*.h')
SHARE = $(DESTDIR)$(PREFIX)/share
install: all
	install -D -m 755 $(BUILD)/plumbline $(DESTDIR)$(PREFIX)/bin/plumbline
	install -d $(SHARE)/plumbline $(SHARE)/doc/plumbline
	install -m 644 $(GEN)/virtio-msg.lua reports/*.schema.json $(SHARE)/plumbline
	install -m 644 README.md LICENSE docs/*.md $(GEN)/clauses.md $(SHARE)/doc/plumbline
	install -d $(SHARE)/doc/plumbline/examples
	install -m 644 docs/examples/* $(SHARE)/doc/plumbline/examples
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/plumbline
	rm -rf $(SHARE)/plumbline $(SHARE)/doc/plumbline
clean:
	rm -rf $(BUILD)
