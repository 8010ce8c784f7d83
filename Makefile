# SPDX-License-Identifier: MIT
# make            build everything          make check   build and run every test
# make demo       the whole story           make help    the other targets
VERSION := 0.1.0
SOVERSION := 0
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
CC ?= gcc
MAKEFLAGS += --no-builtin-rules

LIB_DIRS := crypto auth chain migration store handlers server
DIRS := $(LIB_DIRS) backup contract devnet
# What the programs share, next to their main files.
CMD_SHARED := $(filter-out cmd/mpc_%,$(wildcard cmd/*.c))
PROGRAMS := mpc-migrationd mpc-backup mpc-devnet

# SAN=1 builds into its own folder with ASan and UBSan.
B := build$(if $(SAN),/san)$(if $(COV),/cov)
OPT ?= $(if $(SAN),-O1,$(if $(COV),-O0,-O2))
comma := ,
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)$(if $(COV),--coverage)
WARN := -Wall -Wextra -Wconversion -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wformat=2 -Wvla $(if $(WERROR),-Werror)
HARDEN := $(if $(SAN)$(COV),,-D_FORTIFY_SOURCE=2) -fstack-protector-strong -fcf-protection $(if $(findstring clang,$(CC)),,-ftrivial-auto-var-init=zero)
PACKAGES := libmicrohttpd gnutls libsodium jansson libcrypto libcurl inih
# The asset store is a library of its own: who has a store carries no engine.
ASSET_PACKAGES := rocksdb libsodium libcrypto
# Asked once, and only when something is compiled: `make deps` may install them first.
PC_CFLAGS = $(eval PC_CFLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PC_CFLAGS)
PC_LIBS = $(eval PC_LIBS := $$(shell pkg-config --libs $(PACKAGES)))$(PC_LIBS)
ASSET_LIBS = $(eval ASSET_LIBS := -Wl,--as-needed $$(shell pkg-config --libs $(ASSET_PACKAGES)))$(ASSET_LIBS)
BASE_CFLAGS := -std=c11 -D_GNU_SOURCE -I. -DMIG_VERSION='"$(VERSION)"' -fvisibility=hidden -fPIC -pthread -g -MMD -MP
ALL_CFLAGS = $(BASE_CFLAGS) $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) $(PC_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pthread $(SANFLAGS) -Wl,-z,relro,-z,now,-z,noexecstack $(LDFLAGS)

ASSET_SOURCES := $(wildcard store/asset*.c store/engine.c)
ASSET_OBJS := $(ASSET_SOURCES:%.c=$(B)/%.o)
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out $(ASSET_SOURCES),$(foreach d,$(LIB_DIRS),$(wildcard $(d)/*.c))))
HOUSE_OBJS := $(patsubst %.c,$(B)/%.o,$(foreach d,$(DIRS),$(wildcard $(d)/*.c)) $(CMD_SHARED))
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/test_*.c))
SUPPORT := tests/rig.c tests/wire.c $(wildcard tests/vectors/*.c)
SCRIPTS := $(wildcard tests/test_*.sh)
TOOLS := $(patsubst %,$(B)/tests/%,sfv_json sign_tool vectors_tool assets_tool ask_node)
FUZZERS := $(patsubst fuzz/%.c,%,$(wildcard fuzz/fuzz_*.c))
BENCHES := $(patsubst bench/%.c,$(B)/bench/%,$(wildcard bench/bench_*.c))
# Each a program; frost.c is what two of them share.
EXAMPLES := $(patsubst examples/%.c,$(B)/examples/%,$(filter-out examples/frost.c,$(wildcard examples/*.c)))
HEADERS := $(wildcard include/*.h cmd/*.h examples/*.h $(addsuffix /*.h,$(DIRS)))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

LIBRARIES := $(foreach l,libmpcmigration libmpcassets,$(B)/$(l).a $(B)/$(l).so)

all: $(PROGRAMS:%=$(B)/%) $(LIBRARIES)

help:
	@echo 'all check demo bench fuzz interop coverage headers install deps clean sizes'
	@echo 'SAN=1 ASan+UBSan   WERROR=1 warnings are errors   V=1 whole commands'
	@echo 'make fuzz T=fuzz_x TIME=60   make check ONLY=test_x'

deps:
	@dist/deps.sh

$(B)/.deps: dist/packages dist/deps.sh
	@dist/deps.sh && mkdir -p $(B) && touch $@

$(B)/%.o: %.c | $(B)/.deps
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/libhouse.a: $(HOUSE_OBJS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libmpcmigration.a: $(LIB_OBJS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libmpcmigration.so: $(LIB_OBJS)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libmpcmigration.so.$(SOVERSION) -o $@ $^ $(PC_LIBS)

# Beside libmpcmigration.a, of which it needs a few members.
$(B)/libmpcassets.a: $(ASSET_OBJS)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libmpcassets.so: $(ASSET_OBJS) $(B)/libmpcmigration.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -shared -Wl,-z,defs -Wl,--exclude-libs,ALL -Wl,-soname,libmpcassets.so.$(SOVERSION) -o $@ $^ $(ASSET_LIBS)

$(B)/mpc-%: $(B)/cmd/mpc_%.o $(B)/libhouse.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -pie -o $@ $^ $(PC_LIBS) $(ASSET_LIBS)

# What tests, benches and fuzzers share; a member is linked where it is used.
$(B)/libsupport.a: $(SUPPORT:%.c=$(B)/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/tests/%: $(B)/tests/%.o $(B)/tests/harness.o $(B)/libsupport.a $(B)/libhouse.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PC_LIBS) $(ASSET_LIBS) -lcunit

$(B)/bench/%: $(B)/bench/%.o $(B)/libsupport.a $(B)/libhouse.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PC_LIBS) $(ASSET_LIBS)

$(B)/examples/%: $(B)/examples/%.o $(B)/examples/frost.o $(B)/libhouse.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PC_LIBS) $(ASSET_LIBS)

# A corpus replays under the ordinary compiler, so that every checkout runs it.
$(B)/fuzz/%: $(B)/fuzz/%.o $(B)/fuzz/replay.o $(B)/libsupport.a $(B)/libhouse.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PC_LIBS) $(ASSET_LIBS)

# The fuzzers themselves: everything instrumented, clang's libFuzzer.
F := build/fuzzer
FUZZ_CFLAGS = $(BASE_CFLAGS) -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFUZZING $(PC_CFLAGS)
FUZZ_OBJS := $(patsubst %.c,$(F)/%.o,$(foreach d,$(DIRS),$(wildcard $(d)/*.c)) $(CMD_SHARED))
$(F)/%.o: %.c | $(B)/.deps
	$(call say,CC,$< (fuzz))
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_CFLAGS) -c -o $@ $<
$(F)/libhouse.a: $(FUZZ_OBJS)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(F)/libsupport.a: $(SUPPORT:%.c=$(F)/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(F)/bin/%: $(F)/fuzz/%.o $(F)/libsupport.a $(F)/libhouse.a
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)clang -pthread -fsanitize=fuzzer,address,undefined -o $@ $^ $(PC_LIBS) $(ASSET_LIBS)

T ?= $(FUZZERS)
TIME ?= 20
fuzz: $(FUZZERS:%=$(F)/bin/%)
	@tests/run_fuzz.sh $(F)/bin $(TIME) $(T)

check: all $(TESTS) $(TOOLS) $(FUZZERS:%=$(B)/fuzz/%) $(EXAMPLES)
	@tests/run.sh $(B) $(ONLY)

demo: all $(EXAMPLES)
	@tests/demo.sh $(B)

interop: all $(TOOLS) $(EXAMPLES)
	@dist/deps.sh npm
	@tests/interop/run.sh $(B)

bench: all $(BENCHES) $(B)/examples/threshold
	@bench/run.sh $(B)

# Minutes and gigabytes.
bench-large: all $(BENCHES)
	@$(B)/bench/bench_assets large

coverage:
	@$(MAKE) --no-print-directory COV=1 check
	@tests/coverage.sh build/cov

# Each header compiles alone, in C and (the public one) in C++.
headers: | $(B)/.deps
	@for h in $(HEADERS); do $(CC) $(filter-out -MMD -MP,$(BASE_CFLAGS)) $(WARN) -Werror $(PC_CFLAGS) -fsyntax-only -x c $$h || exit 1; done
	@g++ -I. -Wall -Wextra -Werror -fsyntax-only -x c++ include/mpc_migration.h
	@echo '$(words $(HEADERS)) headers compile alone'

sizes: all
	@size $(PROGRAMS:%=$(B)/%) $(B)/libmpcmigration.so

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(B)/mpc-backup $(B)/mpc-devnet $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(B)/mpc-migrationd $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 include/mpc_migration.h include/mpc_assets.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(filter %.a,$(LIBRARIES)) $(DESTDIR)$(LIBDIR)/
	for l in libmpcmigration libmpcassets; do \
	    install -m 755 $(B)/$$l.so $(DESTDIR)$(LIBDIR)/$$l.so.$(VERSION) && \
	    ln -sf $$l.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$$l.so.$(SOVERSION) && \
	    ln -sf $$l.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/$$l.so || exit 1; done
	for p in mpc-migration mpc-assets; do \
	    sed -e 's|@PREFIX@|$(PREFIX)|;s|@LIBDIR@|$(LIBDIR)|;s|@VERSION@|$(VERSION)|' dist/$$p.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/$$p.pc || exit 1; done
	install -m 644 dist/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 dist/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/

clean:
	rm -rf build

-include $(shell find $(B) $(F) -name '*.d' 2>/dev/null)
.PHONY: all help deps fuzz check demo interop bench bench-large coverage headers sizes install clean
.SECONDARY:
