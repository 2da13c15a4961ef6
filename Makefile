# Slipway. `make help` lists the targets and their variables; `scripts/setup` installs what they need.
VERSION := 0.1.0

BUILD   := build
ifeq ($(origin CC),default)
CC      := gcc
endif
LD      := ld
OBJCOPY := objcopy
MAKEFLAGS += -j$(shell nproc)
Q       := $(if $(V),,@)
FONT    := /usr/share/consolefonts/Uni2-Terminus16.psf.gz
NEEDED  := /usr/include/efi/efi.h $(FONT) /usr/include/cmocka.h
PREFIX  := /usr/local
DESTDIR :=
TRACKING :=
DEBUG   :=

WARN  := -Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
         -Wmissing-prototypes -Wundef -Wvla -Wcast-align -Wcast-qual -Wswitch-enum -Wimplicit-fallthrough
# Paths in debug information and __FILE__ are relative, so that every folder builds the same bytes.
PATHS := -I. -MMD -MP -ffile-prefix-map='$(CURDIR)'=. -ffile-prefix-map='$(BUILD)'=build
BASE  := -std=gnu2x $(WARN) -O2 -g $(PATHS) -DSLIPWAY_VERSION='"$(VERSION)"' \
         $(if $(filter 1,$(TRACKING)),-DFRAMES_TRACKING) $(if $(filter 1,$(DEBUG)),-DSLIPWAY_DEBUG)
FREE  := $(BASE) -ffreestanding -fno-stack-protector -fno-jump-tables -fno-asynchronous-unwind-tables \
         -mno-red-zone -mgeneral-regs-only -fno-strict-aliasing
KERNEL_CFLAGS := $(FREE) -mcmodel=kernel -fno-pic -fno-pie -fno-omit-frame-pointer
KERNEL_LFLAGS := -static -nostdlib --build-id=none -z max-page-size=4096 -z noexecstack --fatal-warnings
LOADER_CFLAGS := $(FREE) -fpie -fshort-wchar -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
LOADER_LFLAGS := -pie --no-dynamic-linker -nostdlib --build-id=none --hash-style=sysv -z text -z norelro -z noexecstack \
         --fatal-warnings
HOST_CFLAGS   := $(BASE) -O1 -g1 -DSLIPWAY_DEBUG -fno-omit-frame-pointer -fsanitize=address,undefined \
                 -fno-sanitize-recover=all
FUZZ_CFLAGS   := $(HOST_CFLAGS) -O2 -fsanitize=fuzzer-no-link
ASM_FLAGS     := -g $(PATHS)

COMMON     := $(sort $(wildcard common/*/*.c common/*/*.S))
KERNEL_SRC := $(COMMON) $(filter-out kernel/programs/%,$(sort $(wildcard kernel/*.c kernel/*.S kernel/*/*.c kernel/*/*.S)))
LOADER_SRC := $(filter-out common/frames/%,$(COMMON)) $(sort $(wildcard loader/*.c loader/*.S loader/protocol/*.c))
# Pure code: compiled for the target and, from the same file, for the host.
PURE_SRC   := $(filter %.c,$(sort $(wildcard $(shell sed 's/\#.*//' scripts/pure.txt))))
UNIT_SRC   := $(sort $(wildcard tests/unit/*/test_*.c))
FUZZ_SRC   := $(sort $(wildcard tests/fuzz/fuzz_*.c))

objects     = $(patsubst %,$(BUILD)/$(1)/%.o,$(basename $(filter %.c,$(2)))) $(patsubst %,$(BUILD)/$(1)/%.o,$(filter %.S,$(2)))
KERNEL_OBJ := $(call objects,kernel,$(KERNEL_SRC)) $(BUILD)/kernel/font.o
LOADER_OBJ := $(call objects,loader,$(LOADER_SRC)) $(BUILD)/loader/font.o
HOST_OBJ   := $(call objects,host,$(PURE_SRC))
FUZZ_OBJ   := $(call objects,fuzz,$(PURE_SRC))
SUPPORT    := $(call objects,host,$(sort $(wildcard tests/unit/support/*.c)))
UNIT_BIN   := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/host/unit/%)
FUZZ_BIN   := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)
REPLAY_OBJ := $(call objects,host,tests/programs/replay.c)
HEADERS    := $(sort $(wildcard common/*/*.h loader/*.h loader/host/*.h loader/protocol/*.h kernel/*/*.h $(addprefix tests/,unit/support/*.h programs/*.h \
              firmware/*.h firmware/faults/*.h firmware/random/*.h firmware/machine/common/x86/*.h)))

.PHONY: all programs host fuzzers headers buildable
all: programs ## build loader and kernel and put them into esp/ (the default)
	@scripts/stage put $(BUILD)
programs: $(BUILD)/BOOTX64.EFI $(BUILD)/kernel.elf user-programs $(BUILD)/host/loadcheck $(BUILD)/host/slipway-replay
host: $(UNIT_BIN) $(BUILD)/host/replay $(BUILD)/host/loadcheck-checked
fuzzers: $(FUZZ_BIN)
headers: $(HEADERS:%=$(BUILD)/headers/%.o)
buildable: programs sdk host headers test-firmware test-kernels test-apps

# A stamp changes when its text does: what depends on it is built again when the compiler, a flag
# or the list of files has changed, and not otherwise.
$(BUILD)/flags.stamp: export STAMP = $(shell $(CC) --version) $(KERNEL_CFLAGS) $(LOADER_CFLAGS) $(HOST_CFLAGS) $(SDK_CFLAGS) $(SDK_HOST_CFLAGS)
$(BUILD)/files.stamp: export STAMP = $(KERNEL_LFLAGS) $(LOADER_LFLAGS) $(KERNEL_SRC) $(LOADER_SRC) $(PURE_SRC)
$(BUILD)/%.stamp: FORCE
	$(foreach file,$(NEEDED),$(if $(wildcard $(file)),,$(error $(file) is not installed: run scripts/setup)))
	@mkdir -p $(@D); printenv STAMP | cmp -s - $@ || printenv STAMP >$@
.PHONY: FORCE
.SECONDARY:
.DELETE_ON_ERROR:

# $(1): name of the flavour and its folder; $(2): its compiler and flags.
define compile
$(BUILD)/$(1)/%.o: %.c $(BUILD)/flags.stamp
	@mkdir -p $$(@D); echo '  CC      $$@'
	$$(Q)$(2) -c $$< -o $$@
$(BUILD)/$(1)/font.o $(BUILD)/$(1)/symbols.o: $(BUILD)/$(1)/%.o: $(BUILD)/gen/%.c $(BUILD)/flags.stamp
	@mkdir -p $$(@D); echo '  CC      $$@'
	$$(Q)$(2) -c $$< -o $$@
$(BUILD)/$(1)/%.S.o: %.S $(BUILD)/flags.stamp
	@mkdir -p $$(@D); echo '  AS      $$@'
	$$(Q)$$(CC) $$(ASM_FLAGS) -c $$< -o $$@
endef
$(eval $(call compile,kernel,$$(CC) $$(KERNEL_CFLAGS)))
$(eval $(call compile,loader,$$(CC) $$(LOADER_CFLAGS)))
$(eval $(call compile,host,$$(CC) $$(HOST_CFLAGS)))
$(eval $(call compile,fuzz,clang $$(FUZZ_CFLAGS)))

$(BUILD)/gen/font.c: $(FONT) scripts/make-font
	@mkdir -p $(@D); echo '  GEN     $@'
	$(Q)scripts/make-font $< >$@.tmp && mv $@.tmp $@

# The kernel is linked twice: what it knows of its own functions and lines is made from the first.
$(BUILD)/kernel.first.elf: $(KERNEL_OBJ)
$(BUILD)/kernel.sym.elf: $(KERNEL_OBJ) $(BUILD)/kernel/symbols.o
$(BUILD)/kernel.first.elf $(BUILD)/kernel.sym.elf: kernel/kernel.ld $(BUILD)/files.stamp
	@echo '  LINK    $@'
	$(Q)$(LD) $(KERNEL_LFLAGS) -T kernel/kernel.ld $(filter %.o,$^) -o $@
$(BUILD)/gen/symbols.c: $(BUILD)/kernel.first.elf scripts/make-symbols
	@mkdir -p $(@D); echo '  SYMBOLS $@'
	$(Q)scripts/make-symbols $< >$@.tmp && mv $@.tmp $@
$(BUILD)/kernel.elf: $(BUILD)/kernel.sym.elf
	@echo '  OBJCOPY $@'
	$(Q)$(OBJCOPY) --strip-all $< $@

$(BUILD)/BOOTX64.elf: $(LOADER_OBJ) loader/loader.ld $(BUILD)/files.stamp
	@echo '  LINK    $@'
	$(Q)$(LD) $(LOADER_LFLAGS) -T loader/loader.ld $(LOADER_OBJ) -o $@
$(BUILD)/BOOTX64.debug: $(BUILD)/BOOTX64.elf
	@echo '  OBJCOPY $@'
	$(Q)$(OBJCOPY) --only-keep-debug $< $@
$(BUILD)/BOOTX64.EFI: $(BUILD)/BOOTX64.elf $(BUILD)/BOOTX64.debug scripts/make-pe
	@echo '  PE      $@'
	$(Q)scripts/make-pe $< $@

$(BUILD)/host/libpure.a: $(HOST_OBJ) $(BUILD)/files.stamp
	@echo '  AR      $@'
	$(Q)rm -f $@; ar rcsD $@ $(HOST_OBJ)
$(BUILD)/fuzz/libpure.a: $(FUZZ_OBJ) $(BUILD)/files.stamp
	@echo '  AR      $@'
	$(Q)rm -f $@; ar rcsD $@ $(FUZZ_OBJ)
$(BUILD)/host/unit/%: $(BUILD)/host/tests/unit/%.o $(SUPPORT) $(BUILD)/host/libpure.a
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(HOST_CFLAGS) $(filter %.o %.a,$^) -lcmocka -o $@
$(BUILD)/host/replay: $(REPLAY_OBJ) $(BUILD)/host/libpure.a
	@echo '  LINK    $@'
	$(Q)$(CC) $(HOST_CFLAGS) $(filter %.o %.a,$^) -o $@
# The same for `slipway map`, without sanitizers and their libraries.
$(eval $(call compile,replay,$$(CC) $$(BASE)))
$(BUILD)/host/slipway-replay: $(call objects,replay,tests/programs/replay.c $(filter $(addprefix common/,audit/% base/% frames/% \
                              memmap/% vmem/%),$(PURE_SRC))) $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(BASE) $(filter %.o,$^) -o $@
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libpure.a
	@echo '  LINK    $@'
	$(Q)clang $(HOST_CFLAGS) -fsanitize=fuzzer $(filter %.o %.a,$^) -o $@

# Every header compiles by itself.
$(BUILD)/headers/loader/%.o: loader/% $(BUILD)/flags.stamp
	@mkdir -p $(@D); echo '  HEADER  $<'
	$(Q)$(CC) $(LOADER_CFLAGS) -include $< -x c -c /dev/null -o $@
$(BUILD)/headers/tests/%.o: tests/% $(BUILD)/flags.stamp
	@mkdir -p $(@D); echo '  HEADER  $<'
	$(Q)$(CC) $(HOST_CFLAGS) -include $< -x c -c /dev/null -o $@
$(BUILD)/headers/%.o: % $(BUILD)/flags.stamp
	@mkdir -p $(@D); echo '  HEADER  $<'
	$(Q)$(CC) $(KERNEL_CFLAGS) -include $< -x c -c /dev/null -o $@

include scripts/install.mk $(wildcard kernel/programs/programs.mk loader/host/loadcheck.mk common/sdk/sdk.mk) $(sort $(wildcard tests/*/*.mk))

# What the commands of scripts/ read from here.
export SLIPWAY_BUILD := $(BUILD)
export CC
export MEM SMP CPU ACCEL CMDLINE DISPLAY_MODE MACHINE DISK LIMIT KERNEL GDB_ARGS LIMINE

# Before the programs are built, not after.
ifneq ($(SECONDS),)
ifeq ($(shell printf %s '$(SECONDS)' | grep -x '[1-9][0-9]*'),)
$(error SECONDS=$(SECONDS) is not a number of seconds, 1 or more)
endif
endif

.PHONY: run test test-unit test-boot fuzz bench check abi image install uninstall debug clean help
run: all ## boot esp/ in QEMU; Ctrl-C ends it. Variables: see below
	@scripts/run
test: all sdk host fuzzers test-firmware test-kernels test-apps ## every test; the last line counts them
	@scripts/test all
test-unit: host test-firmware ## the host's unit tests alone
	@scripts/test unit
test-boot: all sdk host test-kernels test-apps ## the tests that boot QEMU alone
	@scripts/test boot
fuzz: fuzzers $(FW_RANDOM) ## fuzz every target for SECONDS=n (60), or TARGET=name alone
	@scripts/fuzz '$(SECONDS)' '$(TARGET)'
bench: all $(BENCH_PROGRAM) ## what boot, paging, frames and heap cost; PART=boot, vmem, frames, heap or kernel alone
	@scripts/bench '$(PART)'
check: buildable fuzzers ## both compilers, format, linters, layers; boots nothing
	@scripts/check
abi: sdk ## record what the libraries export and what their structures are, once it is to change
	@scripts/check-abi --record
image: all ## BUILD/slipway.img, a FAT file system with the tree of esp/
	@scripts/make-image $(BUILD)/slipway.img
install: programs sdk $(GENERATED) ## slipway, loader, libraries and headers into DESTDIR/PREFIX (/usr/local)
	@scripts/install-files put '$(DESTDIR)' '$(PREFIX)' $(INSTALLED)
uninstall: ## remove what install has installed there
	@scripts/install-files remove '$(DESTDIR)' '$(PREFIX)' $(INSTALLED)
debug: all ## boot in QEMU under gdb, stopped at the loader's first line
	@scripts/debug
clean: ## remove everything that was built
	@scripts/stage remove $(BUILD)
	rm -rf $(BUILD)
help: ## this list
	@scripts/help Makefile

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
