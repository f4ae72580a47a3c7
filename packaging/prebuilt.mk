# Installs mod_dmuc and mod_http_dmuc, built for this machine's processor, where Prosody looks for modules. Needs Lua 5.4 and glibc
# 2.36 or newer there (Debian 12).
PREFIX ?= /usr/local
DESTDIR ?=
MODULES_DIR ?= $(PREFIX)/lib/prosody/modules
MACHINE ?= $(shell uname -m)

.PHONY: all install
all:
	@[ -d '$(MACHINE)' ] || { echo 'nothing here is built for $(MACHINE): take the sources' >&2; exit 1; }

install: all
	for module in mod_dmuc mod_http_dmuc; do \
		install -d "$(DESTDIR)$(MODULES_DIR)/$$module" && \
		install -m 644 "$(MACHINE)/$$module"/* "$(DESTDIR)$(MODULES_DIR)/$$module/" || exit 1; \
	done
