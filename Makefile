# Distributed MUC for Prosody. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
export RUST_BACKTRACE ?= 0
# Where rustup puts cargo; not every shell has it.
export PATH := $(PATH):$(HOME)/.cargo/bin

PREFIX ?= /usr/local
DESTDIR ?=
# Debian's prosody.cfg.lua (0.12 and 13) has this in plugin_paths.
MODULES_DIR ?= $(PREFIX)/lib/prosody/modules
# Which Lua the module is for: lua54, lua53, lua52 or lua51. Debian's Prosody runs on 5.4.
LUA ?= lua54
SEEDS ?= 500
SOAK_SECONDS ?= 300
SOAK_SEED ?=
FUZZ_SECONDS ?= 60
MODEL_STATES ?= 1000000
MODEL_SEED ?= 1
KEEP ?=
# The versions that real clients are tried on.
PROSODY ?= 0.12 13 newest

# What is built for other machines: make plugin TARGET=aarch64-unknown-linux-gnu. The same sources and compiler give the same bytes.
TARGET ?=
TARGETS ?=

INSTALLED = $(DESTDIR)$(MODULES_DIR)/mod_dmuc
INSTALLED_PAGE = $(DESTDIR)$(MODULES_DIR)/mod_http_dmuc

PLUGIN := target/$(if $(TARGET),release/$(TARGET),plugin)/mod_dmuc
PAGE := target/$(if $(TARGET),release/$(TARGET),plugin)/mod_http_dmuc
# A target folder of its own: a build with other features must not replace the .so.
PLUGIN_BUILD := target/plugin-build$(if $(TARGET),/$(TARGET))
LIBRARY := $(PLUGIN_BUILD)/$(if $(TARGET),$(TARGET)/)release/libdmuc.so
CLIPPY := cargo clippy --quiet

.PHONY: help deps plugin install uninstall deb dist dist-check release test test-browser test-clients lint demo bench sim same-outputs model fuzz mutants soak clean distclean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14
	@echo
	@echo 'Variables: PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) LUA=$(LUA) SEEDS=$(SEEDS) SOAK_SECONDS=$(SOAK_SECONDS) KEEP=$(KEEP)'

deps: ## Install what is missing (apt) and unpack other Prosodys into target/
	@tests/testbed/setup.sh

plugin: ## Build the drop-in folders target/plugin/mod_dmuc and mod_http_dmuc
	$(if $(TARGET),. packaging/flags.sh && )cargo build --release --lib --features $(LUA) --target-dir $(PLUGIN_BUILD)$(if $(TARGET), --locked --target $(TARGET))
	@mkdir -p $(PLUGIN) $(PAGE)
	@# Each file appears at once or not at all: servers may be running from this folder.
	@place() { local to=$${3:-$(PLUGIN)}; cmp -s "$$1" "$$to/$$2" || { cp "$$1" "$$to/.$$2.new" && mv "$$to/.$$2.new" "$$to/$$2"; }; }; \
	shopt -s nullglob; \
	place $(LIBRARY) dmuc.so; \
	for file in lua/mod_dmuc/*.lua lua/mod_dmuc/README*; do place "$$file" "$${file##*/}"; done; \
	for file in $(PLUGIN)/*.lua; do [ -e "lua/mod_dmuc/$${file##*/}" ] || [ "$${file##*/}" = stamp.lib.lua ] || rm "$$file"; done; \
	build=$$(grep -aoE 'dmuc-build:[[:alnum:].+-]+;' $(PLUGIN)/dmuc.so); build=$${build#dmuc-build:}; \
	echo "return \"$${build%;}\";" > $(PLUGIN_BUILD)/stamp.lib.lua; \
	place $(PLUGIN_BUILD)/stamp.lib.lua stamp.lib.lua; \
	for file in lua/mod_http_dmuc/*; do place "$$file" "$${file##*/}" $(PAGE); done; \
	for file in $(PAGE)/*; do [ -e "lua/mod_http_dmuc/$${file##*/}" ] || rm "$$file"; done
	@touch $(PLUGIN_BUILD)/built
	@echo 'plugin: $(CURDIR)/$(PLUGIN)'

# Builds nothing, so that root needs no cargo and leaves nothing behind in this folder.
install: ## Install what `make plugin` built where Prosody looks for modules (PREFIX, DESTDIR)
	@[ -e '$(PLUGIN)/dmuc.so' ] && [ -e '$(PAGE)/mod_http_dmuc.lua' ] || \
		{ echo "install: nothing is built yet: run 'make plugin' first, not as root" >&2; exit 1; }
	@if [ -e '$(PLUGIN_BUILD)/built' ] && [ -n "$$(find src lua Cargo.toml Cargo.lock build.rs -type f -newer '$(PLUGIN_BUILD)/built' -print -quit)" ]; then \
		echo "install: the sources are newer than what is built, which is installed: 'make plugin' builds them" >&2; fi
	install -d '$(INSTALLED)' '$(INSTALLED_PAGE)'
	install -m 644 '$(PLUGIN)'/* '$(INSTALLED)/'
	install -m 644 '$(PAGE)'/* '$(INSTALLED_PAGE)/'
	@for file in '$(INSTALLED)'/*.lua; do [ -e '$(PLUGIN)'/"$${file##*/}" ] || rm "$$file"; done
	@for file in '$(INSTALLED_PAGE)'/*.lua; do [ -e '$(PAGE)'/"$${file##*/}" ] || rm "$$file"; done

uninstall: ## Remove what `make install` installed (PREFIX, DESTDIR); data and configuration stay
	rm -f '$(INSTALLED)'/*.lua '$(INSTALLED)/dmuc.so' '$(INSTALLED)/README.md'
	rm -f '$(INSTALLED_PAGE)'/*.lua '$(INSTALLED_PAGE)'/page.* '$(INSTALLED_PAGE)/README.md'
	@for folder in '$(INSTALLED)' '$(INSTALLED_PAGE)'; do \
		[ ! -d "$$folder" ] || rmdir "$$folder" || echo "uninstall: other files are left in $$folder" >&2; done

# The machine's own cargo builds it, whatever Debian's helpers take for a home.
deb: ## Build target/dist/prosody-mod-dmuc_VERSION_ARCH.deb (needs debhelper), and look at it with lintian
	@mkdir -p target/dist
	CARGO_HOME="$${CARGO_HOME:-$$HOME/.cargo}" RUSTUP_HOME="$${RUSTUP_HOME:-$$HOME/.rustup}" \
		DEB_TO='$(CURDIR)/target/dist' debian/rules binary
	rm -rf debian/.debhelper debian/prosody-mod-dmuc debian/files debian/*.substvars debian/debhelper-build-stamp
	@# Some bytes of code are letters, others with every build.
	lintian --allow-root --suppress-tags spelling-error-in-binary --fail-on error,warning,info --display-info "target/dist/$$(packaging/version.sh deb)"
	@echo "deb: $(CURDIR)/target/dist/$$(packaging/version.sh deb)"

dist: ## Tarballs without and with a build, and a rock, into target/dist (TARGETS='x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu')
	TARGETS='$(TARGETS)' packaging/dist.sh

dist-check: ## Whether building them again, elsewhere and without network, gives the same bytes
	TARGETS='$(TARGETS)' packaging/dist.sh --check

release: ## Commit, tag and build VERSION=X.Y.Z, and check what was built (RELEASING.md)
	packaging/release.sh '$(VERSION)'

test: deps plugin ## Run every test
	tests/testbed/run-tests.sh

# PICTURES=docs/pictures takes those of the status page anew.
test-browser: deps plugin ## Web clients in one room, by its own address and by another server's, and the status page (PROSODY='0.12 13 newest'; needs Node.js 20)
	tests/browser/setup.sh
	cargo build --quiet -p dmuc-testbed --example federation
	cd tests/browser && PICTURES='$(if $(PICTURES),$(abspath $(PICTURES)))' PROSODY='$(PROSODY)' node --test --test-concurrency=1 --test-reporter=spec rooms.test.js address.test.js status.test.js

test-clients: deps plugin ## slixmpp, profanity and poezio in a room of another server (PROSODY='0.12 13 newest')
	tests/clients/setup.sh
	cargo build --quiet -p dmuc-testbed --example federation
	PROSODY='$(PROSODY)' tests/clients/run.sh

lint: deps ## Formatting, clippy for each binding, luacheck, licences, documentation
	cargo fmt --all --check
	$(CLIPPY) --workspace --all-targets -- -D warnings
	$(CLIPPY) -p dmuc --lib --features lua -- -D warnings
	$(CLIPPY) -p dmuc --lib --test capi --features capi -- -D warnings
	luacheck -q lua/ tests/
	tests/lint/verdicts.sh
	tests/lint/floors.sh
	tests/lint/inside.sh
	tests/lint/map.sh
	tests/lint/install.sh
	tests/lint/licences.sh
	tests/lint/packaging.sh
	tests/lint/packaging.sh --self-test
	tests/lint/msrv.sh
	tests/sim/mutations.sh --check
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet -p dmuc --no-deps --features capi
	bash -n findings/*.sh packaging/*.sh debian/tests/two-servers tests/lint/*.sh tests/testbed/*.sh tests/sim/*.sh tests/browser/*.sh tests/clients/*.sh .ci/run

demo: deps plugin ## The XEP's story on three real servers (KEEP=1: they stay up)
	KEEP='$(KEEP)' cargo run --quiet --example demo

bench: deps plugin ## Engine, border and end-to-end benchmarks (PART=cpu: that of the last, printed only)
	cargo bench -p dmuc $(if $(PART),--bench federation -- $(PART),--benches)

sim: ## Simulate many networks (SEEDS=500)
	DMUC_SIM_SEEDS='$(SEEDS)' cargo test --test sim -- --nocapture

model: ## Explore the rules of succession further (MODEL_STATES=1000000 of each kind, MODEL_SEED=1)
	DMUC_MODEL_STATES='$(MODEL_STATES)' DMUC_MODEL_STEPS='$(MODEL_STATES)' DMUC_MODEL_SEED='$(MODEL_SEED)' \
		cargo test --test model -- --nocapture --test-threads 1

fuzz: ## Look for inputs that break a promise (FUZZ_SECONDS=60 for each target; needs cargo-fuzz)
	cd fuzz && for target in wire snapshot peer; do \
		mkdir -p ../target/fuzz/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir . --target-dir ../target/fuzz/build $$target \
			../target/fuzz/$$target ../tests/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=20; \
	done

same-outputs: ## Whether the engine puts out the same as at BASE=revision, byte for byte (SEEDS=2000)
	@tests/sim/same-outputs.sh '$(or $(BASE),$(error which revision? BASE=...))' '$(SEEDS)'

mutants: ## Which checker of the simulator sees which deliberate mistake (SEEDS=500)
	tests/sim/mutations.sh '$(SEEDS)'

soak: deps plugin ## Random faults on real servers (SOAK_SECONDS=300 SOAK_SEED=)
	SOAK_SECONDS='$(SOAK_SECONDS)' SOAK_SEED='$(SOAK_SEED)' cargo test --test e2e splits::soak -- --nocapture

clean: ## Remove what was built (unpacked Prosodys stay)
	@if [ -d target ]; then find target -mindepth 1 -maxdepth 1 ! -name 'prosody-*' -exec rm -rf {} +; fi

distclean: ## Remove target/ altogether
	rm -rf target
