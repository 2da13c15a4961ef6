# Small UEFI applications that tests boot beside the loader.
TA       := $(BUILD)/tests/apps
TA_NAMES := $(patsubst tests/apps/%.c,%,$(sort $(wildcard tests/apps/*.c)))

.PHONY: test-apps
test-apps: $(TA_NAMES:%=$(TA)/%.efi)

$(TA)/%.o: tests/apps/%.c tests/apps/apps.mk
	@mkdir -p $(@D); echo '  CC      $@'
	$(Q)$(CC) $(LOADER_CFLAGS) -c $< -o $@
$(TA)/%.S.o: tests/apps/%.S tests/apps/apps.mk
	@mkdir -p $(@D); echo '  AS      $@'
	$(Q)$(CC) $(ASM_FLAGS) -c $< -o $@
$(TA)/la57.elf: $(TA)/la57.S.o
$(TA)/badmachine.elf: $(TA)/badmachine.S.o
$(TA)/edid.elf: $(BUILD)/loader/common/base/mem.o
$(TA)/%.elf: $(TA)/%.o loader/loader.ld
	@echo '  LINK    $@'
	$(Q)$(LD) $(LOADER_LFLAGS) -T loader/loader.ld $(filter %.o,$^) -o $@
$(TA)/%.efi: $(TA)/%.elf scripts/make-pe
	@echo '  PE      $@'
	$(Q)scripts/make-pe $< $@
