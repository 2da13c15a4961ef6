# What `make install` puts where, and `make uninstall` takes away: MODE:FILE:TARGET, the target below PREFIX. Beside
# this list, to which common/sdk/sdk.mk adds the libraries, there is lib/slipway/folders (scripts/install-files).
SLIPWAY_PY := $(patsubst scripts/%,%,$(sort $(wildcard scripts/slipway_lib/*.py scripts/slipway_lib/*/*.py)))
TEMPLATES  := $(patsubst scripts/%,%,$(sort $(wildcard $(addprefix scripts/slipway_lib/templates/,README.md gitignore */*))))
GENERATED  := $(addprefix $(BUILD)/gen/,slipway.1 slipway.bash VERSION)
INSTALLED  := 755:scripts/slipway:bin/slipway 755:$(BUILD)/host/loadcheck:bin/slipway-loadcheck \
              644:$(BUILD)/BOOTX64.EFI:lib/slipway/BOOTX64.EFI 644:$(BUILD)/BOOTX64.debug:lib/slipway/BOOTX64.debug \
              755:$(BUILD)/host/slipway-replay:lib/slipway/replay 644:$(BUILD)/gen/VERSION:lib/slipway/VERSION \
              $(foreach file,qemu.py absent_tpm.py fat.py,644:tests/$(file):lib/slipway/python/$(file)) \
              $(foreach file,debug_gdb.py $(SLIPWAY_PY) $(TEMPLATES),644:scripts/$(file):lib/slipway/python/$(file)) \
              $(foreach file,LICENSE README.md esp/slipway.conf,644:$(file):share/doc/slipway/$(notdir $(file))) \
              644:$(BUILD)/gen/slipway.1:share/man/man1/slipway.1 \
              644:$(BUILD)/gen/slipway.bash:share/bash-completion/completions/slipway

$(BUILD)/gen/slipway.1: scripts/make-manual
$(BUILD)/gen/slipway.bash: scripts/slipway
$(BUILD)/gen/VERSION: Makefile
$(BUILD)/gen/slipway.1 $(BUILD)/gen/slipway.bash: $(SLIPWAY_PY:%=scripts/%) $(addprefix tests/,qemu.py absent_tpm.py fat.py) Makefile
	@mkdir -p $(@D); echo '  GEN     $@'
	$(Q)scripts/$(if $(filter %.1,$@),make-manual,slipway completion bash) >$@
$(BUILD)/gen/VERSION:
	@mkdir -p $(@D); echo '  GEN     $@'
	$(Q)echo '$(VERSION)' >$@
