# Ring 2: the loader's firmware-facing code on the host, over a fake firmware. The real sources, but
# for the CPU's instructions (machine/common/x86/cpu.h is found first), loader/enter.S and
# loader/park.S. Linked above the arena, and where a CPU of 32 physical bits reaches: there is the
# page that switches to the kernel.
FW_CFLAGS  := -iquote tests/firmware/machine $(HOST_CFLAGS) -fno-pie -fshort-wchar -DGNU_EFI_USE_MS_ABI \
              -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
FW_LFLAGS  := -no-pie -Wl,-Ttext-segment=0x40000000
FW_TESTS   := $(sort $(wildcard tests/firmware/test_*.c))
FW_SRC     := $(filter-out common/base/mem.c loader/enter.S loader/park.S,$(LOADER_SRC)) \
              $(filter-out $(FW_TESTS),$(sort $(wildcard tests/firmware/*.c tests/firmware/*.S)))
FW_OBJ     := $(call objects,firmware,$(FW_SRC)) $(BUILD)/firmware/font.o
FW_BIN     := $(FW_TESTS:tests/firmware/%.c=$(BUILD)/host/firmware/%)

$(eval $(call compile,firmware,$$(CC) $$(FW_CFLAGS)))

$(BUILD)/host/firmware/%: $(BUILD)/firmware/tests/firmware/%.o $(FW_OBJ) $(SUPPORT)
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(FW_LFLAGS) $(HOST_CFLAGS) $(filter %.o,$^) -lcmocka -o $@

# Boots at random.
FW_RANDOM  := $(BUILD)/host/firmware/test_random
$(FW_RANDOM): FW_LFLAGS += -Wl,--wrap=framebuffer_start
$(FW_RANDOM): $(call objects,firmware,$(sort $(wildcard tests/firmware/random/*.c)))

# Scenarios that are spoilt in every way.
FW_FAULTS  := $(filter $(BUILD)/host/firmware/test_faults%,$(FW_BIN))
$(FW_FAULTS): $(call objects,firmware,$(sort $(wildcard tests/firmware/faults/*.c)))

.PHONY: test-firmware
test-firmware: $(FW_BIN)

$(BUILD)/headers/tests/firmware/%.o: tests/firmware/% $(BUILD)/flags.stamp
	@mkdir -p $(@D); echo '  HEADER  $<'
	$(Q)$(CC) $(FW_CFLAGS) -include $< -x c -c /dev/null -o $@
