# make            the program: build/release/sstpgate
# make check      every test; make demo: a verified tunnel, shown; make help: the rest
#
# A variant has a folder of its own: build/VARIANT. asan, ubsan and tsan are the same sources and
# the same tests with another set of flags.

VARIANT ?= release
CC ?= gcc
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
VERSION := 0.1.0

B := build/$(VARIANT)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')
PKG_CONFIG ?= pkg-config
PKGS := openssl libuv inih

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wwrite-strings -Wundef -Wformat=2
WARN_STRICT := -Wconversion -Wsign-conversion
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
OPT := -O2 -g

SAN :=
ifeq ($(VARIANT),asan)
SAN := -fsanitize=address
endif
ifeq ($(VARIANT),ubsan)
SAN := -fsanitize=undefined -fno-sanitize-recover=all
endif
ifeq ($(VARIANT),tsan)
SAN := -fsanitize=thread
endif
ifneq ($(SAN),)
OPT := -O1 -g -fno-omit-frame-pointer
HARDEN := -fPIE
HARDEN_LD := -pie
endif

CPPFLAGS_ALL := -Iproxy -D_GNU_SOURCE -DSSTPGATE_VERSION='"$(VERSION)"' -DSSTPGATE_SYSCONFDIR='"$(SYSCONFDIR)"' $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(OPT) $(WARN) $(HARDEN) $(SAN) $(shell $(PKG_CONFIG) --cflags $(PKGS)) $(CFLAGS)
LDFLAGS_ALL := $(HARDEN_LD) $(SAN) $(LDFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(PKGS)) -lpthread

SRC := $(wildcard proxy/*.c proxy/*/*.c)
OBJ := $(SRC:%.c=$(B)/%.o)
LIB_OBJ := $(filter-out $(B)/proxy/main.o,$(OBJ))
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ:%=$(B)/replay/%)

.PHONY: all
all: $(B)/sstpgate

# Without the libraries there is nothing to build: say what to do instead of a page of errors.
ifeq ($(filter clean help deps demo check install-% format,$(MAKECMDGOALS)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PKGS) && echo yes),yes)
$(error OpenSSL 3, libuv or inih is missing: run "make deps" (Debian 12) or install them)
endif
endif

$(B)/sstpgate: $(OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(OBJ) $(LIBS)

# wire and binding take octets from strangers: no silent conversion there.
$(B)/proxy/wire/%.o $(B)/proxy/binding/%.o: WARN += $(WARN_STRICT)

$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# test_loop stands between us and libuv and makes each of these calls fail once.
UV_FAULTS := uv_tcp_init uv_accept uv_tcp_getpeername uv_tcp_connect uv_read_start uv_try_write \
	uv_write uv_shutdown uv_tcp_close_reset uv_getaddrinfo uv_tcp_open uv_listen
$(B)/unit/test_loop: UNIT_LD := $(UV_FAULTS:%=-Wl,--wrap=%)

# One binary for each module, with cmocka.
$(B)/unit/%: $(B)/tests/unit/%.o $(LIB_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) $(UNIT_LD) -o $@ $^ $(LIBS) $(shell $(PKG_CONFIG) --libs cmocka)

# A fuzz target with a main() that feeds it files: replays a corpus without a fuzzer.
$(B)/replay/%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(LIB_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

.SECONDARY:
-include $(OBJ:.o=.d) $(wildcard $(B)/tests/unit/*.d $(B)/tests/fuzz/*.d)

.PHONY: unit replay
unit: $(UNIT)
	@tests/run-unit $(UNIT)
replay: $(REPLAY)
	@for t in $(FUZZ); do $(B)/replay/$$t tests/fuzz/corpus/$$t || exit 1; done

.PHONY: clean format
clean:
	rm -rf build
format:
	clang-format -i $(wildcard proxy/*.[ch] proxy/*/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch])
