# loadcheck, a program of the host's from the loader's own files: those that read config, kernel and
# modules and plan the kernel's space, over the machine of loader/host/machine.c. That zeroes
# memory, too. Once for use, and once with sanitizers and assertions for the tests.
LC_CFLAGS  := -fno-strict-aliasing -fshort-wchar -DGNU_EFI_USE_MS_ABI -Dmemset=machine_memset \
              -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
LC_LOADER  := $(filter-out $(PURE_SRC),$(patsubst %,loader/%.c,bls_files config_file digest disc file file_system firmware \
              kaslr kernel_file kernel_note listing log memory_map modules network protocol/image protocol/limine \
              protocol/protocol wishes)) loader/sha256_ni.S $(sort $(wildcard loader/host/*.c))
LC_PURE    := $(filter-out $(patsubst %,loader/%.c,controllers firmware_pages load_options menu menu_draw menu_keys menu_line),$(filter \
              loader/% common/base/% common/hash/% common/memmap/% common/mtrr/% common/vmem/%,$(PURE_SRC)))
$(eval $(call compile,loadcheck,$$(CC) $$(BASE) $$(LC_CFLAGS)))
$(eval $(call compile,loadcheck-checked,$$(CC) $$(HOST_CFLAGS) $$(LC_CFLAGS)))

$(BUILD)/host/loadcheck: $(call objects,loadcheck,$(LC_LOADER) $(LC_PURE)) $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(BASE) $(filter %.o,$^) -o $@
$(BUILD)/host/loadcheck-checked: $(call objects,loadcheck-checked,$(LC_LOADER)) $(BUILD)/host/libpure.a
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(HOST_CFLAGS) $(filter %.o %.a,$^) -o $@
