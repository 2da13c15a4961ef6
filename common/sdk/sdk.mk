# The libraries for the kernels and EFI applications of others, and their headers, as `make install` installs them:
# libslipway-vmem.a and libslipway-frames.a, for kernels and, with assertions, for tests on the host
# (libslipway-vmem-host.a), and libslipway-boot.a. docs/vmem.md, docs/frames.md and docs/boot-library.md are about them.
#
# Code for kernels runs wherever it is linked: all addresses are relative, so that it fits kernels at fixed addresses in
# the upper half and position independent ones. Each library is one object in which all but its interface is local: its
# own copy of the formatter, say, meets no function of the same name.
SDK        := $(BUILD)/sdk
SDK_LIST   := common/sdk/headers.txt
SDK_CFLAGS := $(FREE) -fPIE -include common/sdk/hidden.h -ffunction-sections -fdata-sections -fno-omit-frame-pointer
SDK_HOST_CFLAGS := $(BASE) -DSLIPWAY_DEBUG -fPIC -include common/sdk/hidden.h -fno-strict-aliasing -fno-omit-frame-pointer

sdk_vmem_src   := $(sort $(wildcard common/vmem/*.c)) common/base/fmt.c
sdk_frames_src := $(filter-out %/track.c,$(sort $(wildcard common/frames/*.c))) common/base/fmt.c
sdk_boot_src   := $(sort $(wildcard common/audit/*.c common/memmap/*.c common/mtrr/*.c loader/elf*.c loader/plan*.c)) common/base/fmt.c
# The headers by installed name, and the files that one library's are made of.
SDK_HEADERS    := $(shell sed 's/\#.*//' $(SDK_LIST) | awk '{print $$1}')
sdk_source_of   = $(shell awk '$$1 == "$(1)" {print $$2}' $(SDK_LIST))
sdk_headers_of  = $(shell awk '$$3 == "$(1)" {print $$2}' $(SDK_LIST))
SDK_LIBRARIES  := $(addprefix $(SDK)/lib/libslipway-,vmem.a frames.a boot.a vmem-host.a frames-host.a)

SDK_PACKAGES   := slipway slipway-vmem slipway-frames slipway-boot slipway-host
SDK_CMAKE      := SlipwayConfig.cmake SlipwayConfigVersion.cmake
SDK_DOCUMENTS  := $(sort $(wildcard docs/*.md) $(shell find docs/examples -type f 2>/dev/null))

.PHONY: sdk
sdk: $(SDK_LIBRARIES) $(SDK_HEADERS:%=$(SDK)/include/%) $(SDK_PACKAGES:%=$(SDK)/%.pc) $(SDK_CMAKE:%=$(SDK)/%)

INSTALLED += $(foreach file,$(SDK_LIBRARIES),644:$(file):lib/$(notdir $(file))) \
             $(foreach file,$(SDK_HEADERS),644:$(SDK)/include/$(file):include/$(file)) \
             $(foreach file,$(SDK_PACKAGES),644:$(SDK)/$(file).pc:lib/pkgconfig/$(file).pc) \
             $(foreach file,$(SDK_CMAKE),644:$(SDK)/$(file):lib/cmake/Slipway/$(file)) \
             $(foreach file,$(SDK_DOCUMENTS),644:$(file):share/doc/slipway/$(file))

$(eval $(call compile,sdk/free,$$(CC) $$(SDK_CFLAGS)))
$(eval $(call compile,sdk/host,$$(CC) $$(SDK_HOST_CFLAGS)))

# $(1): installed name; $(2): the file of the tree.
define sdk_header
$(SDK)/include/$(1): $(2) $(SDK_LIST) scripts/make-header
	@mkdir -p $$(@D); echo '  GEN     $$@'
	$$(Q)scripts/make-header $(SDK_LIST) $$< >$$@
endef
$(foreach name,$(SDK_HEADERS),$(eval $(call sdk_header,$(name),$(call sdk_source_of,$(name)))))

# $(1): library; $(2): flavour; $(3): what its file is called.
define sdk_library
$(SDK)/$(2)/$(3).o: $(call objects,sdk/$(2),$(sdk_$(1)_src)) $(call sdk_headers_of,$(1)) scripts/list-interface $(BUILD)/files.stamp
	@mkdir -p $$(@D); echo '  LINK    $$@'
	$$(Q)$$(LD) -r $$(filter %.o,$$^) -o $$@.all
	$$(Q)scripts/list-interface $$@.all $(call sdk_headers_of,$(1)) >$$@.interface
	$$(Q)$$(OBJCOPY) --keep-global-symbols=$$@.interface $$@.all $$@
$(SDK)/lib/lib$(3).a: $(SDK)/$(2)/$(3).o
	@mkdir -p $$(@D); echo '  AR      $$@'
	$$(Q)rm -f $$@; ar rcsD $$@ $$<
endef
$(foreach name,vmem frames boot,$(eval $(call sdk_library,$(name),free,slipway-$(name))))
$(foreach name,vmem frames,$(eval $(call sdk_library,$(name),host,slipway-$(name)-host)))

# Of each pkg-config package: what it is, packages that it stands on, libraries.
sdk_text_slipway            := Kernels that Slipway boots: its header, the paging library, the frame allocator
sdk_requires_slipway        := slipway-vmem slipway-frames
sdk_text_slipway-vmem       := x86-64 page tables
sdk_libraries_slipway-vmem  := -lslipway-vmem
sdk_text_slipway-frames     := Frame allocator: which frames of physical memory are free
sdk_libraries_slipway-frames := -lslipway-frames
sdk_text_slipway-boot       := Boot of a kernel by an EFI application: ELF reader, memory map, plan, audit
sdk_requires_slipway-boot   := slipway-vmem
sdk_libraries_slipway-boot  := -lslipway-boot
sdk_text_slipway-host       := Paging library and frame allocator with assertions, for tests on the host
sdk_libraries_slipway-host  := -lslipway-vmem-host -lslipway-frames-host

# @PREFIX@ stays: scripts/install-files knows it.
$(SDK)/%.pc: common/sdk/library.pc.in common/sdk/sdk.mk Makefile
	@mkdir -p $(@D); echo '  GEN     $@'
	$(Q)sed -e 's|@NAME@|$*|' -e 's|@VERSION@|$(VERSION)|' -e 's|@TEXT@|$(sdk_text_$*)|' \
	    -e 's|@REQUIRES@|$(sdk_requires_$*)|' -e 's|@LIBRARIES@|$(sdk_libraries_$*)|' $< >$@
$(SDK)/%.cmake: common/sdk/%.cmake.in Makefile
	@mkdir -p $(@D); echo '  GEN     $@'
	$(Q)sed 's|@VERSION@|$(VERSION)|' $< >$@
