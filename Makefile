# make            the program: build/release/sstpgate
# make check      every test; make demo: a verified tunnel, shown; make help: the rest
#
# Each variant has its own directory: build/VARIANT. asan (AddressSanitizer and UBSan), ubsan and tsan
# are the same sources and the same tests with other flags.

VARIANT ?= release
CC ?= gcc
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
SYSCONFDIR ?= /etc
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/sstpgate
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR ?= $(PREFIX)/lib/systemd/system
VERSION := 0.2.0
# With the commit, if this directory is the root of a git repository. A package may set its own.
SSTPGATE_VERSION ?= $(VERSION)$(addprefix +g,$(shell [ -e .git ] && git describe --always --dirty --exclude '*' 2>/dev/null))
SSTPGATE_VERSION := $(SSTPGATE_VERSION)

B := build/$(VARIANT)
Q := $(if $(V),,@)
# For a make inside of make: suppresses "Nothing to be done".
quiet := --no-print-directory $(if $(V),,-s)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')
PKG_CONFIG ?= pkg-config
PKGS := openssl libuv inih
# Only rules with `country` need it.
MAXMIND := $(shell $(PKG_CONFIG) --exists libmaxminddb 2>/dev/null && echo libmaxminddb)
# Only the status listener needs it. 0.9.71: enum MHD_Result.
MICROHTTPD := $(shell $(PKG_CONFIG) --exists 'libmicrohttpd >= 0.9.71' 2>/dev/null && echo libmicrohttpd)
# Only the filter of system calls needs it.
SECCOMP := $(shell $(PKG_CONFIG) --exists libseccomp 2>/dev/null && echo libseccomp)
# Only `shared`, the store of several gates, needs it; `make HIREDIS=` builds without it.
HIREDIS := $(shell $(PKG_CONFIG) --exists 'hiredis >= 0.14' 2>/dev/null && echo hiredis)
OPTIONAL := $(MAXMIND) $(MICROHTTPD) $(SECCOMP) $(HIREDIS)
# Only the fast protection of records needs it; `make IPSEC_MB=` builds without it. It has no file for
# pkg-config, so a program is linked that uses what tls/aead_mb.c does.
ifeq ($(origin IPSEC_MB),undefined)
comment := \#
IPSEC_MB := $(shell printf '%s\n' '$(comment)include <intel-ipsec-mb.h>' 'int main(void) { struct gcm_key_data k;' \
	'IMB_MGR *m = alloc_mb_mgr(0); IMB_AES128_GCM_PRE(m, m, &k); return (int)m->features; }' | \
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -x c -o /dev/null - -lIPSec_MB 2>/dev/null && echo -lIPSec_MB)
endif
# A make inside of this one does not ask again, unless the library may have been installed meanwhile.
ifneq ($(IPSEC_MB),)
export IPSEC_MB
endif
# libhiredis requests 64-bit offsets, which 64-bit systems have in any case; the flag renames functions (pread64), which
# tests replace by their usual names.
PKG_CFLAGS := $(filter-out -D_FILE_OFFSET_BITS=64,$(shell $(PKG_CONFIG) --cflags $(PKGS) $(OPTIONAL) 2>/dev/null))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) $(OPTIONAL) 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith \
	-Wwrite-strings -Wundef -Wformat=2
WARN_STRICT := -Wconversion -Wsign-conversion
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack
OPT := -O2 -g

SAN :=
# asan has both at once, because the tests of one build take less time than those of two. ubsan alone is
# faster, for a developer.
ifeq ($(VARIANT),asan)
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -static-libasan -static-libubsan
endif
ifeq ($(VARIANT),ubsan)
SAN := -fsanitize=undefined -fno-sanitize-recover=all
endif
ifeq ($(VARIANT),tsan)
SAN := -fsanitize=thread
endif
ifneq ($(SAN),)
# -g1: lines for the stacks of a finding, without the types, which cost a fifth of the time. The tests start these
# programs thousands of times: without the relocations of a PIE, and without the shared libraries of the
# sanitizers, whose memory a leak check reads, a start takes a fifth less time.
OPT := -O1 -g1 -fno-omit-frame-pointer
HARDEN := -fno-pie
# A fast linker, if there is one: each test is linked.
HARDEN_LD := -no-pie $(firstword $(foreach ld,gold lld,$(if $(shell command -v ld.$(ld)),-fuse-ld=$(ld))))
endif

CPPFLAGS_ALL := -Iproxy -D_GNU_SOURCE -DSSTPGATE_SYSCONFDIR='"$(SYSCONFDIR)"' $(MAXMIND:%=-DHAVE_MAXMINDDB) \
	$(MICROHTTPD:%=-DHAVE_MICROHTTPD) $(SECCOMP:%=-DHAVE_SECCOMP) $(HIREDIS:%=-DHAVE_HIREDIS) $(IPSEC_MB:%=-DHAVE_IPSEC_MB) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(OPT) $(WARN) $(HARDEN) $(SAN) $(PKG_CFLAGS) $(CFLAGS)
LDFLAGS_ALL := $(HARDEN_LD) $(SAN) $(LDFLAGS)
LIBS := $(PKG_LIBS) $(IPSEC_MB) -lpthread

SRC := $(wildcard proxy/*.c proxy/*/*.c)
OBJ := $(SRC:%.c=$(B)/%.o)
LIB_OBJ := $(filter-out $(B)/proxy/main.o,$(OBJ))
LIB := $(B)/libgate.a
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c tests/unit/*/test_*.c))
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ:%=$(B)/replay/%)
# tests/bench/: the load generator has several files; netset.c is a separate program.
LOAD_OBJ := $(patsubst %,$(B)/tests/bench/%.o,load end flood floor)

.DELETE_ON_ERROR:
.PHONY: all
all: $(B)/sstpgate

# Without the libraries nothing can be built: a message says what to do, instead of a page of errors.
ifeq ($(filter clean help deb deps% need% demo% bench check asan ubsan tsan integration instructions interop page format%,$(MAKECMDGOALS)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(PKGS) 2>/dev/null && echo yes),yes)
$(error pkg-config, OpenSSL 3, libuv or inih is missing: run "make deps" (Debian 12, 13) or install them)
endif
endif

$(B)/sstpgate: $(OBJ) $(B)/objects
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(OBJ) $(LIBS)

# wire and binding parse bytes of unauthenticated peers: implicit conversions are warnings there.
$(B)/proxy/wire/%.o $(B)/proxy/binding/%.o: WARN += $(WARN_STRICT)
$(B)/lint/wire.ok $(B)/lint/binding.ok: WARN += $(WARN_STRICT)

$(B)/tests/unit/%.o: CPPFLAGS_ALL += -Itests/unit
# Tests are compiled once for each run, so that takes longer than what they do.
$(B)/tests/unit/%.o: OPT := -O0 -g1 $(filter -f%,$(OPT))
$(B)/tests/unit/%.o: HARDEN := $(filter-out -D_FORTIFY_SOURCE=2,$(HARDEN))
$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# $(call record,TEXT): writes TEXT to the target, whose time changes only if the text has changed.
record = @mkdir -p $(@D); echo '$1' | cmp -s - $@ || echo '$1' >$@

# The directory of the configuration is compiled in.
$(B)/sysconfdir: FORCE
	$(call record,$(SYSCONFDIR))
.PHONY: FORCE
$(B)/proxy/main.o: $(B)/sysconfdir

# The files of the status page are compiled in, by the assembler. Link-time optimization would separate
# them from the C code that uses them.
$(B)/proxy/status/page.o: $(addprefix proxy/status/page.,html css js)
$(B)/proxy/status/page.o: CFLAGS_ALL += -fno-lto

# Another commit rebuilds this object only.
$(B)/version: FORCE
	$(call record,$(SSTPGATE_VERSION))
$(B)/proxy/base/version.o $(B)/lint/base.ok: CPPFLAGS_ALL += -DSSTPGATE_VERSION='"$(SSTPGATE_VERSION)"'
$(B)/proxy/base/version.o: $(B)/version

# The program without main(), for the tests and the load generator. The archive is thin: it contains the
# names of the objects, so a changed object does not change it. It is deleted first, because q appends, and
# because r would keep objects of removed sources, and only one of two objects with the same name in two
# rooms.
$(LIB): $(LIB_OBJ) $(B)/objects
	@rm -f $@
	$(Q)ar qcsTD $@ $(LIB_OBJ)
# Changes when a source is added, moved or removed.
$(B)/objects: FORCE
	$(call record,$(LIB_OBJ))

# $(call link,LIBRARIES): links the objects of a test with the members of the archive that it needs. The
# linker lists these members (-t -t; gold and lld: ARCHIVE(MEMBER)), and $@.d makes the test depend on them, so
# that it is linked again only when one of them changes.
define link
$(call say,LD,$@)
@mkdir -p $(@D)
$(Q)$(CC) $(LDFLAGS_ALL) $(addprefix -Wl$(comma)--wrap=,$(WRAP_$(@F))) -o $@ $(filter $(B)/tests/%.o,$^) $(LIB) \
	$(LIBS) $1 -Wl,-t,-t >$@.trace
@sed -nE 's,^($(LIB)\()?($(B)/proxy/.*\.o)\)?$$,$@: \2\n\2:,p' $@.trace >$@.d && rm $@.trace
@[ -s $@.d ] || echo '$@: $(LIB)' >$@.d # a linker with another format of this list
endef
comma := ,

# WRAP_TEST: functions of libraries that the test of this name replaces. test_stream makes each of these
# calls to libuv fail once, test_turns simulates sockets that always have data, test_dial and
# test_resolve a slow resolver.
WRAP_test_stream := uv_tcp_init uv_accept uv_tcp_getpeername uv_tcp_connect uv_read_start uv_try_write \
	uv_write uv_shutdown uv_tcp_close_reset uv_tcp_open uv_listen
WRAP_test_turns := recv
WRAP_test_dial := pthread_create getaddrinfo freeaddrinfo
WRAP_test_resolve := getaddrinfo
# test_relay uses socket pairs instead of TCP.
WRAP_test_relay := uv_accept uv_tcp_connect uv_tcp_getpeername uv_tcp_getsockname
# The tests of a call without a network: streams, the clocks and the site are fakes (call_fixture.h).
WRAP_test_call := $(addprefix stream_,init accept local start expect secure early waits write pause resume \
	paused narrow kick shutdown notify close vanish) worker_now site_ref site_unref time
WRAP_test_course := $(WRAP_test_call)
WRAP_test_admission := $(WRAP_test_call)
WRAP_test_acme := $(WRAP_test_call) stream_connect
# test_status sets the clock, and sees when the end of the thread begins.
WRAP_test_status := clock_gettime pthread_join
# test_file changes a file between two reads of it.
WRAP_test_file := pread
# test_shared_inquiries has no connection to a store, no thread, and its own clock.
WRAP_test_shared_inquiries := shared_op_send worker_post worker_now

# One binary for each module, with cmocka: tests/unit/[ROOM/]test_MODULE.c.
CMOCKA = $(eval CMOCKA := $(shell $(PKG_CONFIG) --libs cmocka))$(CMOCKA)
$(B)/unit/%: $(B)/tests/unit/%.o $(B)/objects | $(LIB)
	$(call link,$(CMOCKA))

# A fuzz target with a main() that passes files to it: replays a corpus without a fuzzer.
$(B)/replay/%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(B)/objects | $(LIB)
	$(call link)

# The models of servers that ppp_servers compares the PPP observer with.
$(B)/replay/ppp_servers: $(B)/tests/fuzz/server_models.o
build/fuzz/ppp_servers: tests/fuzz/server_models.c

$(B)/bench/load: $(LOAD_OBJ) $(B)/objects | $(LIB)
	$(call link)

# The gates of tests/integration/test_shared_model.py.
$(B)/peers/sharer: $(B)/tests/peers/sharer.o $(B)/objects | $(LIB)
	$(call link)

.SECONDARY:
-include $(OBJ:.o=.d) $(UNIT:$(B)/%=$(B)/tests/%.d) $(wildcard $(B)/tests/fuzz/*.d $(B)/tests/bench/*.d $(B)/tests/peers/*.d)
-include $(wildcard $(UNIT:=.d) $(REPLAY:=.d) $(B)/bench/load.d $(B)/peers/sharer.d)

.PHONY: unit replay tests
# All that the tests of a variant run, without running it.
tests: all $(UNIT) $(REPLAY) $(B)/peers/sharer
unit: $(UNIT)
	@tests/run-unit $(if $(ALL),--all) $(UNIT)
replay: $(FUZZ:%=replay-%)
replay-%: $(B)/replay/%
	@$< tests/fuzz/corpus/$*

# ---- random steps of several gates: make model [SECONDS=600] [SHARED_MODEL_SEED=N] ----
.PHONY: model
model: all $(B)/peers/sharer
	SSTPGATE=$(CURDIR)/$(B)/sstpgate SHARED_MODEL_SECONDS=$(SECONDS) /usr/bin/python3 -m pytest -q -p no:cacheprovider \
		tests/integration/test_shared_model.py

# ---- fuzzing: make fuzz-NAME [SECONDS=600] ----
SECONDS ?= 600
build/fuzz/%: tests/fuzz/fuzz_%.c $(filter-out proxy/main.c,$(SRC)) \
		$(wildcard proxy/*/*.h tests/fuzz/*.h tests/unit/*/*.h)
	@mkdir -p $(@D)
	$(Q)clang -std=c11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		$(CPPFLAGS_ALL) -DSSTPGATE_VERSION='"fuzz"' -o $@ $(filter %.c,$^) $(LIBS)
fuzz-%: build/fuzz/%
	@mkdir -p build/fuzz/found/$*
	$< -max_total_time=$(SECONDS) -timeout=60 -max_len=8192 -print_final_stats=1 \
		-artifact_prefix=build/fuzz/found/$*/ build/fuzz/found/$* tests/fuzz/corpus/$*

# ---- manual pages: plain text, and the program's own table of keys ----
MAN := $(B)/man/sstpgate.8 $(B)/man/sstpgate.conf.5
.PHONY: man
man: $(MAN)
$(B)/man/%.8: conf/man/%.8
	@mkdir -p $(@D)
	$(Q)cp $< $@
$(B)/man/sstpgate.conf.5: conf/man/sstpgate.conf.5.in conf/man/make-conf-page $(B)/sstpgate
	@mkdir -p $(@D)
	$(Q)$(B)/sstpgate --keys >$@.keys
	$(Q)conf/man/make-conf-page $@.keys $< >$@.new && mv $@.new $@ && rm $@.keys

$(B)/completion: $(B)/sstpgate
	$(Q)$(B)/sstpgate --completion bash >$@

# ---- packages: lists and installation are in tests/deps ----
.PHONY: deps deps-demo deps-check deps-bench deps-deb deps-ten-minutes
deps:
	@tests/deps install build
deps-demo deps-check deps-bench deps-deb deps-ten-minutes: deps-%:
	@tests/deps install $*

# Lists the missing packages of a target and the command that installs them; for root, installs them.
.PHONY: need-demo need-check need-bench need-deb
need-demo need-check need-bench need-deb: need-%:
	@tests/deps missing $* || { [ $$(id -u) = 0 ] && $(MAKE) $(quiet) deps-$*; }

# ---- the benchmark: make bench [FIGURES=all|short|'NAME …'] [PEERS='gate nginx-64k'] [ROUNDS=5] ----
FIGURES ?= short
ROUNDS ?= 5
.PHONY: bench
bench: need-bench
	@$(MAKE) $(quiet) VARIANT=$(VARIANT) all $(B)/bench/load
	@VARIANT=$(VARIANT) tests/bench/bench.py --figures '$(FIGURES)' --rounds $(ROUNDS) \
		$(if $(PEERS),--peers '$(PEERS)') $(if $(OUT),--out '$(OUT)')

# ---- what a user runs ----
.PHONY: demo demo-stop check asan ubsan tsan interop integration instructions page
demo: need-demo
	@$(MAKE) $(quiet) VARIANT=release all
	@tests/demo
demo-stop:
	@tests/demo stop

# interop runs beside the suites before it, which get the processor time that it leaves. Nothing runs beside calm, alone and instructions.
SUITES := format lint layers build package unit replay peers interop page integration openssl-records calm alone instructions
check: need-check
	@tests/run release $(SUITES)
asan ubsan tsan: need-check
	@tests/run $@ unit replay integration calm alone
integration: need-check
	@tests/run $(VARIANT) integration calm alone
instructions interop page: need-check
	@tests/run $(VARIANT) $@

# ---- installation: what a package has, too ----
DOCS := README.md RECIPES.md SECURITY.md CHANGELOG.md conf/README.md conf/OPERATION.md \
	conf/TROUBLESHOOTING.md conf/SCALING.md proxy/PROTOCOL.md
EXAMPLES := acme/deploy acme/sstpgate-renew.service acme/sstpgate-renew.timer fail2ban/filter.d/sstpgate.conf fail2ban/jail.d/sstpgate.conf grafana.json \
	keepalived/keepalived.conf prometheus-rules.yml sstpgate.apparmor sstpgate.logrotate
UNITS := sstpgate.service sstpgate.socket
# The files of conf/ contain the paths of a default installation.
PATHS := s|/usr/local/sbin/|$(SBINDIR)/|; s|/etc/sstpgate/|$(SYSCONFDIR)/sstpgate/|
.PHONY: install uninstall
install: $(B)/sstpgate
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(SYSCONFDIR)/sstpgate $(DESTDIR)$(UNITDIR)
	install -m 0755 $(B)/sstpgate $(DESTDIR)$(SBINDIR)/sstpgate
	install -m 0644 conf/sstpgate.conf $(DESTDIR)$(SYSCONFDIR)/sstpgate/sstpgate.conf.example
	for unit in $(UNITS); do \
		sed '$(PATHS)' conf/$$unit >$(DESTDIR)$(UNITDIR)/$$unit && chmod 0644 $(DESTDIR)$(UNITDIR)/$$unit || exit; done
	install -D -m 0644 conf/sstpgate.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/sstpgate.conf
	install -D -m 0644 conf/sstpgate.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sstpgate.conf
	for doc in $(DOCS); do install -D -m 0644 $$doc $(DESTDIR)$(DOCDIR)/$$doc || exit; done
	for example in $(EXAMPLES); do \
		install -D -m 0644 conf/$$example $(DESTDIR)$(DOCDIR)/examples/$$example || exit; done
	@# the program makes these, and cannot run here if it was built for another machine
	-@$(MAKE) $(quiet) -k man $(B)/completion
	for page in $(MAN); do [ ! -f $$page ] || \
		install -D -m 0644 -t $(DESTDIR)$(MANDIR)/man$${page##*.} $$page || exit; done
	[ ! -f $(B)/completion ] || install -D -m 0644 $(B)/completion $(DESTDIR)$(COMPLETIONDIR)/sstpgate
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/sstpgate $(DESTDIR)$(SYSCONFDIR)/sstpgate/sstpgate.conf.example \
		$(DESTDIR)$(MANDIR)/man5/sstpgate.conf.5 $(DESTDIR)$(MANDIR)/man8/sstpgate.8 \
		$(DESTDIR)$(COMPLETIONDIR)/sstpgate $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/sstpgate.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sstpgate.conf \
		$(DOCS:%=$(DESTDIR)$(DOCDIR)/%) $(EXAMPLES:%=$(DESTDIR)$(DOCDIR)/examples/%)
	-@[ ! -d $(DESTDIR)$(DOCDIR) ] || find $(DESTDIR)$(DOCDIR) -depth -type d -empty -delete
	-@rmdir --ignore-fail-on-non-empty $(DESTDIR)$(SYSCONFDIR)/sstpgate 2>/dev/null # the configuration stays

# ---- the Debian package: build/deb/*.deb; with DEB_BUILD_OPTIONS= DEB_BUILD_PROFILES= it runs the unit tests, too ----
DEB := build/deb/sstpgate
.PHONY: deb
deb: need-deb
	@rm -rf build/deb && mkdir -p $(DEB)
	@if [ -e .git ]; then git ls-files -z; else find . -path ./build -prune -o ! -type d -print0; fi | \
		tar -c --null -T - | tar -x -C $(DEB)
	cd $(DEB) && env -u MAKEFLAGS -u MAKELEVEL DEB_BUILD_OPTIONS="$${DEB_BUILD_OPTIONS-nocheck}" \
		DEB_BUILD_PROFILES="$${DEB_BUILD_PROFILES-nocheck}" dpkg-buildpackage -us -uc
	@ls build/deb/*.deb

# ---- formatting and linters: .clang-format, .clang-tidy, tests/cppcheck.suppressions ----
C_FILES = $$(find proxy tests -name '*.[ch]')
.PHONY: format format-check lint
format:
	clang-format -i $(C_FILES)
# Versions 14 (Debian 12) and 19 (Debian 13) must both leave the tree as it is.
format-check:
	@clang-format --dry-run -Werror $(C_FILES)
ROOMS := $(patsubst proxy/%/,%,$(sort $(dir $(wildcard proxy/*/*.c))))
lint: $(B)/lint/cppcheck.ok $(ROOMS:%=$(B)/lint/%.ok) $(B)/lint/main.ok
HEADERS := $(wildcard proxy/*/*.h)
# All files of a room at once, because clang-tidy needs longer to start than to check a file.
$(foreach room,$(ROOMS),$(eval $(B)/lint/$(room).ok: $(wildcard proxy/$(room)/*.c)))
$(B)/lint/main.ok: proxy/main.c
$(ROOMS:%=$(B)/lint/%.ok) $(B)/lint/main.ok: .clang-tidy $(HEADERS)
	$(call say,LINT,$(@F:.ok=))
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $(filter %.c,$^) -- -std=c11 $(WARN) $(CPPFLAGS_ALL) $(PKG_CFLAGS) >$@.err 2>&1 || \
		{ cat $@.err; exit 1; }
	@touch $@
$(B)/lint/cppcheck.ok: tests/cppcheck.suppressions $(SRC) $(HEADERS)
	$(call say,LINT,cppcheck)
	@mkdir -p $(@D)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --language=c --enable=warning,performance,portability \
		--suppressions-list=$< --include=/usr/include/utlist.h --include=/usr/include/uthash.h \
		$(CPPFLAGS_ALL) proxy
	@touch $@

.PHONY: clean help
clean:
	rm -rf build
help:
	@echo 'make            the program (deps: make deps), V=1 shows commands, VARIANT=asan|ubsan|tsan'
	@echo 'make deps       the packages to build; deps-demo, deps-check, deps-bench, deps-deb: those of the other targets'
	@echo 'make demo       a verified tunnel through the gate, shown; make demo-stop ends it'
	@echo 'make check      every test; make unit|replay|page|integration|interop: a part of them'
	@echo '                make unit runs tests that changed since they passed; ALL=1 runs all'
	@echo 'make asan tsan  the same tests under AddressSanitizer and UBSan, and ThreadSanitizer; make ubsan: UBSan alone'
	@echo 'make format     clang-format; make format-check lint: the checks of the sources in make check'
	@echo 'make bench      the cost of the gate, compared with haproxy, nginx and stunnel: tests/bench/README.md'
	@echo 'make model      random steps of several gates with a store, compared with a reference, for SECONDS=600'
	@echo 'make fuzz-NAME  fuzz one parser ($(FUZZ)) for SECONDS=600'
	@echo 'make man        the manual pages, in build/VARIANT/man'
	@echo 'make install    to DESTDIR, PREFIX=/usr/local, SYSCONFDIR=/etc'
	@echo 'make deb        the Debian package: build/deb/*.deb'
