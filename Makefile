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
LDLIBS := -lyaml -ljansson -lmd -lpthread

MODELS := $(shell find models -name '*.yaml' -o -name '*.py')
SCENARIOS := $(wildcard scenarios/*.yaml)
SOURCES := $(filter-out harness/cli/main.c,$(wildcard harness/*/*.c))
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: all gen deps demo check selftest check-peers check-daemon check-guest selftest-carriers soak-legal unit e2e asan tsan fuzz fuzz-own fuzz-smoke fuzz-programs fuzz-device fuzz-driver fuzz-bus fuzz-afl-mutator soak soak-peers bench-fuzz coverage format install uninstall clean corpus FORCE
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
WITHOUT_SOURCES := deps demo check check-daemon asan tsan fuzz fuzz-own fuzz-smoke fuzz-device fuzz-driver fuzz-bus fuzz-afl-mutator coverage format uninstall clean
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
	@printf '%s\n' $(UNIT_TESTS) | xargs -P $$(nproc) -n 1 \
	  sh -c 'said=$$($$0 2>&1); status=$$?; echo "$$said"; test $$status -eq 0 || { echo "failed: $$0" >&2; exit 1; }'
# Four at once, also on two processors: much of what they do is to wait for another program.
e2e: $(BUILD)/plumbline $(UNIT_TESTS)
	@PLUMBLINE=$(abspath $(BUILD)/plumbline) CC=$(CC) $(PYTHON) -m pytest tests/e2e -q -p no:cacheprovider -n 4 --dist loadgroup $(PYTEST_ARGS)
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
# Linux's virtio_blk in a guest under QEMU: what that needs is installed, or said to be missing; kernel and initramfs are
# made below build/. PLUMBLINE_GUEST_KVM=1 uses KVM, where a guest was seen to boot with it.
check-guest: all
	@.ci/deps qemu-system-x86 busybox-static cpio
	@sh tests/guest/initramfs.sh $(BUILD)/guest
	@PLUMBLINE_GUEST=$(abspath $(BUILD)/guest) PLUMBLINE=$(abspath $(BUILD)/plumbline) \
	  $(PYTHON) -m pytest tests/e2e/test_guest.py -q -rs -p no:cacheprovider --durations=0
# Every mutant, and every legal configuration with every row of parameters.
selftest: all
	@$(BUILD)/plumbline selftest
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
asan: BUILD_ARGS = BUILD=$(BUILD)/asan CFLAGS="-O1 -g1 -fno-omit-frame-pointer" \
  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"
# Without a process for each test, which costs most of the time there.
asan:
	@CK_FORK=no $(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@PLUMBLINE_MEMORY=1 $(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e
tsan: BUILD_ARGS = BUILD=$(BUILD)/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE=-fsanitize=thread
tsan:
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@PLUMBLINE_MEMORY=1 $(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e
coverage: BUILD_ARGS = BUILD=$(BUILD)/coverage CFLAGS="-O0 -g --coverage" CC=gcc
coverage:
	@find $(BUILD)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) unit
	@$(SLOW) $(SUBMAKE) $(BUILD_ARGS) e2e
	@gcovr -r . --object-directory $(BUILD)/coverage --filter harness/ --print-summary

# --- fuzz targets of the harness itself (docs/fuzzing.md): fuzz/NAME_target.c becomes FUZZ_DIR/targets/NAME ---
# FUZZ_CC=afl-clang-fast builds the same for AFL++; FUZZ_ENGINE and FUZZ_LINK are what OSS-Fuzz links with.
FUZZ_CC ?= clang
FUZZ_DIR ?= $(BUILD)/fuzz
FUZZ_CFLAGS ?= -O1 -g1 -fno-omit-frame-pointer
FUZZ_SANITIZE ?= -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_ENGINE ?= -fsanitize=fuzzer
FUZZ_LINK ?= $(COMPILE)
FUZZ_SEED ?= 1
FUZZ_SECONDS ?= 600
FUZZ_TARGETS := $(patsubst fuzz/%_target.c,%,$(wildcard fuzz/*_target.c))
FUZZ_RUN = $(PYTHON) fuzz/run.py --build $(FUZZ_DIR) --seed $(FUZZ_SEED)
fuzz-own:
	@$(SUBMAKE) BUILD=$(FUZZ_DIR) CC="$(FUZZ_CC)" CFLAGS="$(FUZZ_CFLAGS)" SANITIZE="$(FUZZ_SANITIZE)" \
	  FUZZ_ENGINE="$(FUZZ_ENGINE)" fuzz-programs
# One of them, without the corpora: the reference device, driver or bus under cases (docs/fuzzing.md, "Running").
fuzz-device fuzz-driver fuzz-bus: fuzz-%:
	@$(SUBMAKE) BUILD=$(FUZZ_DIR) CC="$(FUZZ_CC)" CFLAGS="$(FUZZ_CFLAGS)" SANITIZE="$(FUZZ_SANITIZE)" \
	  FUZZ_ENGINE="$(FUZZ_ENGINE)" $(FUZZ_DIR)/targets/$*
# What AFL++ mutates cases with, as a shared object, from a build that can be one.
fuzz-afl-mutator:
	@$(SUBMAKE) BUILD=$(BUILD)/pic CFLAGS="-O2 -g -fPIC" $(BUILD)/pic/afl_mutator.so
$(BUILD)/afl_mutator.so: fuzz/afl_mutator.c $(BUILD)/libplumbline.a
	@echo "LD  $@"
	@$(COMPILE) -shared $^ $(LDLIBS) -o $@
fuzz-smoke: fuzz-own
	@$(FUZZ_RUN) --name $@ --whole 60
fuzz: fuzz-own
	@$(FUZZ_RUN) --name $@ --each $(FUZZ_SECONDS)
# Campaigns: an hour of each focus against each faithful peer, which must show nothing.
SOAK_SECONDS ?= 3600
SOAK_FOCI ?= all illegal reset generation ring
SOAK_ROLES ?= device driver bus
SOAK_DIR ?= $(BUILD)/soak
soak: all
	@mkdir -p $(SOAK_DIR)
	@failed=; for role in $(SOAK_ROLES); do for focus in $(SOAK_FOCI); do \
	  $(BUILD)/plumbline fuzz --dir $(SOAK_DIR)/$$role-$$focus --role $$role --focus $$focus --time $(SOAK_SECONDS) --seed $(FUZZ_SEED) \
	    --jobs $$(nproc) || failed="$$failed $$role-$$focus"; \
	done; done; test -z "$$failed" || { echo "soak: findings in$$failed, below $(SOAK_DIR)" >&2; exit 1; }
# The same, shorter, against each faithful implementation below tests/peers, over sockets.
SOAK_PEERS ?=
soak-peers: all
	@$(PYTHON) tests/soak_peers.py --plumbline $(BUILD)/plumbline --dir $(BUILD)/soak-peers $(SOAK_PEERS)
# How soon mutants are found, by us and by plain fuzzers; BENCH_FUZZ="--every 10 --seconds 5" does a part of it.
BENCH_FUZZ ?=
bench-fuzz: all
	@$(SUBMAKE) BUILD=$(BUILD)/bench-libfuzzer CC=clang CFLAGS="-O2 -g" SANITIZE=-fsanitize=fuzzer-no-link $(BUILD)/bench-libfuzzer/raw
	@$(SUBMAKE) BUILD=$(BUILD)/bench-afl CC=afl-clang-fast CFLAGS="-O2 -g" SANITIZE= $(BUILD)/bench-afl/raw
	@$(PYTHON) tests/bench_fuzz.py --build $(BUILD) $(BENCH_FUZZ)
$(BUILD)/raw: fuzz/raw.c $(BUILD)/libplumbline.a
	@echo "LD  $@"
	@$(COMPILE) -fsanitize=fuzzer $^ $(LDLIBS) -o $@
# In a build of its own, which fuzz-own makes: the programs, and what they begin with.
fuzz-programs: $(FUZZ_TARGETS:%=$(BUILD)/targets/%) $(BUILD)/corpus/.stamp
$(FUZZ_TARGETS:%=$(BUILD)/fuzz/%_target.o): $(BUILD)/%.o: %.c $(BUILD)/command | $(GEN)/sources.mk
	@mkdir -p $(@D)
	@echo "CC  $<"
	@$(COMPILE) -MMD -MP -c $< -o $@
$(FUZZ_TARGETS:%=$(BUILD)/targets/%): $(BUILD)/targets/%: $(BUILD)/fuzz/%_target.o $(BUILD)/libplumbline.a
	@mkdir -p $(@D)
	@echo "LD  $@"
	@$(FUZZ_LINK) $^ $(FUZZ_ENGINE) $(LDLIBS) $(FUZZ_LINK_$*) -o $@
# Targets whose inputs are cases have functions of their own in place of the engine's (fuzz/reference.h).
FUZZ_UNTRACED := $(foreach n,1 2 4 8,-Wl,--wrap=__sanitizer_cov_trace_cmp$(n) -Wl,--wrap=__sanitizer_cov_trace_const_cmp$(n))
FUZZ_LINK_device := $(FUZZ_UNTRACED)
FUZZ_LINK_driver := $(FUZZ_UNTRACED)
FUZZ_LINK_bus := $(FUZZ_UNTRACED)
$(BUILD)/corpus/.stamp: $(BUILD)/plumbline $(MODELS) $(SCENARIOS) fuzz/seeds.py $(shell find fuzz/regressions -type f 2>/dev/null)
	@echo "GEN $(@D)"
	@$(PYTHON) models/gen/dictionary.py models $(GEN)
	@$(PYTHON) fuzz/seeds.py $(BUILD) $(FUZZ_TARGETS)
	@touch $@
-include $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%_target.d)

# --- the corpus: what it has no entry for is looked for and put into it (docs/corpus.md) ---
CORPUS_SEED ?= 1
CORPUS_EXECS ?= 60000
corpus: all
	@rm -rf $(BUILD)/corpus-new
	@$(BUILD)/plumbline corpus seed $(BUILD)/corpus-new --beyond corpus --seed $(CORPUS_SEED) --execs $(CORPUS_EXECS)
	@test ! -d $(BUILD)/corpus-new || $(BUILD)/plumbline corpus merge $(BUILD)/corpus-new corpus

# --- the rest ---
deps:
	@.ci/deps
format:
	clang-format -i $$(find harness fuzz tests -name '*.c' -o -name '*.h')
SHARE = $(DESTDIR)$(PREFIX)/share
install: all
	install -D -m 755 $(BUILD)/plumbline $(DESTDIR)$(PREFIX)/bin/plumbline
	install -D -m 644 harness/plumbline.h $(DESTDIR)$(PREFIX)/include/plumbline.h
	install -D -m 644 $(BUILD)/libplumbline.a $(DESTDIR)$(PREFIX)/lib/libplumbline.a
	install -d $(SHARE)/plumbline $(SHARE)/doc/plumbline
	install -m 644 $(GEN)/virtio-msg.lua reports/*.schema.json $(SHARE)/plumbline
	install -m 644 README.md LICENSE docs/*.md $(GEN)/clauses.md $(SHARE)/doc/plumbline
	install -d $(SHARE)/doc/plumbline/examples
	install -m 644 docs/examples/* $(SHARE)/doc/plumbline/examples
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/plumbline $(DESTDIR)$(PREFIX)/include/plumbline.h $(DESTDIR)$(PREFIX)/lib/libplumbline.a
	rm -rf $(SHARE)/plumbline $(SHARE)/doc/plumbline
clean:
	rm -rf $(BUILD)
