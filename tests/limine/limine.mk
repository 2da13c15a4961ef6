# The conformance kernels of the Limine protocol (tests/limine/main.c): one source, and requests that differ.
LT       := $(BUILD)/tests/limine
LT_FLAGS := -std=gnu2x $(WARN) -O2 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
            -mno-red-zone -mgeneral-regs-only -fno-strict-aliasing -I. -MMD -MP -ffile-prefix-map=$(CURDIR)=.
LT_LINK  := -nostdlib -Wl,--build-id=none,-z,max-page-size=4096,-z,common-page-size=4096,-z,norelro,-z,noexecstack,--fatal-warnings
LT_SRC   := $(filter-out %/requests.c,$(sort $(wildcard tests/limine/*.c))) tests/limine/entry.S

# The base revision of the kernels that are not there for a base revision.
LT_REVISION := 6
# What sets a kernel apart, for requests.c and kernel.ld.S. Those without wishes ask for no stack size and no
# paging mode.
lt_rev0     := REVISION=0
lt_rev1     := REVISION=1 NO_WISHES
lt_rev2     := REVISION=2 AT_REQUEST
lt_rev3     := REVISION=3
lt_rev4     := REVISION=4 NO_WISHES
lt_rev5     := REVISION=5 AT_REQUEST
lt_rev6     := REVISION=6
lt_untagged := REVISION=0 NO_TAG NO_WISHES
lt_section  := REVISION=0 SECTION
lt_readonly := REVISION=$(LT_REVISION) READ_ONLY KEEP_IOMMU
lt_pie      := REVISION=$(LT_REVISION) PIE AT_REQUEST X2APIC
lt_five     := REVISION=$(LT_REVISION) FIVE
lt_unmarked := REVISION=$(LT_REVISION) UNMARKED
lt_rwx      := REVISION=$(LT_REVISION) RWX
lt_gz       := REVISION=$(LT_REVISION) COMPRESSED
LT_NAMES    := rev0 rev1 rev2 rev3 rev4 rev5 rev6 untagged section readonly pie five unmarked rwx gz

lt_code  = $(if $(filter PIE,$(lt_$(1))),pie,exec)
lt_code_exec := -mcmodel=kernel -fno-pie
lt_code_pie  := -fpie
lt_link_exec := -static
lt_link_pie  := -static-pie -Wl,--no-dynamic-linker -Wl,-z,text

.PHONY: test-limine
test-kernels: test-limine
test-limine: $(LT_NAMES:%=$(LT)/%.elf)

$(LT)/internal.mod:
	@mkdir -p $(@D)
	$(Q)seq 1 2000 >$@
$(LT)/internal.gz: $(LT)/internal.mod
	$(Q)gzip -9n <$< >$@
# What the kernels know of them.
$(LT)/files.h: $(LT)/internal.mod $(LT)/internal.gz tests/limine/limine.mk
	$(Q){ printf '#define INTERNAL_DIGEST "%s"\n' "$$(b2sum $< | cut -d' ' -f1)"; \
	  printf '#define INTERNAL_CRC UINT32_C(%s)\n' "$$(cksum $< | cut -d' ' -f1)"; \
	  printf '#define COMPRESSED_CRC UINT32_C(%s)\n' "$$(cksum $(LT)/internal.gz | cut -d' ' -f1)"; } >$@

define LT_CODE
$(LT)/code-$(1)/%.o: tests/limine/% $(LT)/files.h tests/limine/limine.mk
	@mkdir -p $$(@D); echo '  CC      $$@'
	$$(Q)$$(CC) $$(LT_FLAGS) -include $(LT)/files.h $$(lt_code_$(1)) -c $$< -o $$@
endef
$(foreach code,exec pie,$(eval $(call LT_CODE,$(code))))

# The line at the end of the file is what check_files.c looks for.
define LT_RULES
$(LT)/$(1)/requests.o: tests/limine/requests.c $(LT)/files.h tests/limine/limine.mk
	@mkdir -p $$(@D); echo '  CC      $$@'
	$$(Q)$$(CC) $$(LT_FLAGS) -include $(LT)/files.h $$(lt_code_$(call lt_code,$(1))) $$(lt_$(1):%=-D%) -c $$< -o $$@
$(LT)/$(1)/kernel.ld: tests/limine/kernel.ld.S tests/limine/limine.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -E -P $$(lt_$(1):%=-D%) -x assembler-with-cpp $$< -o $$@
$(LT)/$(1).elf: $(LT_SRC:tests/limine/%=$(LT)/code-$(call lt_code,$(1))/%.o) $(LT)/$(1)/requests.o $(LT)/$(1)/kernel.ld
	@echo '  LINK    $$@'
	$$(Q)$$(CC) $$(LT_LINK) $$(lt_link_$(call lt_code,$(1))) $$(if $$(filter RWX,$$(lt_$(1))),-Wl$$(comma)--no-warn-rwx-segments) \
	  -Wl,-T,$(LT)/$(1)/kernel.ld $$(filter %.o,$$^) -o $$@.sym
	$$(Q)$$(OBJCOPY) --strip-all $$@.sym $$@
	$$(Q)printf '%010u is the CRC of it all\n' "$$$$(cksum <$$@ | cut -d' ' -f1)" >>$$@
endef
comma := ,
$(foreach name,$(LT_NAMES),$(eval $(call LT_RULES,$(name))))
