# Small UEFI applications that tests boot beside the loader.
TA       := $(BUILD)/tests/apps
TA_NAMES := badcpu la57 launcher next noexit unended usermap waiting

.PHONY: test-apps
test-apps: $(TA_NAMES:%=$(TA)/%.efi)

$(TA)/%.o: tests/apps/%.c tests/apps/apps.mk
	@mkdir -p $(@D); echo '  CC      $@'
	$(Q)$(CC) $(LOADER_CFLAGS) -c $< -o $@
$(TA)/%.S.o: tests/apps/%.S tests/apps/apps.mk
	@mkdir -p $(@D); echo '  AS      $@'
	$(Q)$(CC) $(ASM_FLAGS) -c $< -o $@
$(TA)/la57.so: $(TA)/la57.S.o
$(TA)/%.so: $(TA)/%.o
	@echo '  LINK    $@'
	$(Q)$(LD) $(LOADER_LFLAGS) -T $(EFI_LIB)/elf_x86_64_efi.lds $(EFI_LIB)/crt0-efi-x86_64.o $(filter %.o,$^) \
	    -L$(EFI_LIB) -lgnuefi -o $@
$(TA)/%.efi: $(TA)/%.so
	@echo '  OBJCOPY $@'
	$(Q)$(OBJCOPY) $(LOADER_KEEP:%=-j %) --target efi-app-x86_64 --subsystem=10 $< $@
