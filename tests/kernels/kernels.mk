# Contract test kernels: one source, linked in many ways, against a copy of slipway_boot.h in a folder
# with nothing else, as a kernel of someone else's would be.
KT       := $(BUILD)/tests/kernels
KT_FLAGS := -std=gnu2x $(WARN) -O2 -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
            -mno-red-zone -mgeneral-regs-only -fno-strict-aliasing -I$(KT)/include -Itests/kernels -MMD -MP \
            -ffile-prefix-map=$(CURDIR)=.
KT_LINK  := -nostdlib -Wl,--build-id=none,-z,max-page-size=4096,-z,common-page-size=4096,-z,relro,-z,noexecstack,--fatal-warnings
KT_NAMES := exec pie moved lowest window wishes large cpus direct tls huge kaslr
KT_SRC   := $(filter-out %/wishes.c %/cpus.c %/direct.c %/kaslr.c,$(sort $(wildcard tests/kernels/*.c))) tests/kernels/entry.S tests/kernels/fault.S

# What sets a kernel apart: link address, alignment of segments and more, for sources and link script;
# how it is compiled and linked; what it has more than the others. Far from 0 the linker cannot turn
# loads of addresses into constants, hence --no-relax.
kt_exec   := BASE=0xffffffff80000000 ALIGN_=4096
kt_pie    := BASE=0 ALIGN_=4096 PIE
kt_moved  := BASE=0xffffd12345600000 ALIGN_=4096
kt_lowest := BASE=0xffff800000000000 ALIGN_=4096
kt_window := BASE=0xffffc00000100000 ALIGN_=4096
kt_wishes := BASE=0xffffffff80000000 ALIGN_=4096 NOTE
kt_large  := BASE=0xffffffff90000000 ALIGN_=0x200000 LARGE
kt_cpus   := BASE=0xffffffff80000000 ALIGN_=4096 NOTE CPUS
kt_direct := BASE=0xffffffff80000000 ALIGN_=4096 NOTE CPUS DIRECT
kt_tls    := BASE=0 ALIGN_=4096 PIE TLS
kt_huge   := BASE=0xffffffff00000000 ALIGN_=4096 HUGE
kt_kaslr  := BASE=0 ALIGN_=4096 PIE NOTE KASLR
kt_code_exec    := -mcmodel=kernel -fno-pie
kt_code_pie     := -fpie
kt_code_moved   := -fpie
kt_code_lowest  := -fpie
kt_code_window  := -fpie
kt_code_wishes  := $(kt_code_exec)
kt_code_large   := $(kt_code_exec)
kt_code_cpus    := $(kt_code_exec)
kt_code_direct  := $(kt_code_exec)
kt_code_tls     := $(kt_code_pie)
kt_code_huge    := -mcmodel=large -fno-pie
kt_code_kaslr   := $(kt_code_pie)
kt_link_exec    := -static
kt_link_pie     := -static-pie -Wl,--no-dynamic-linker -Wl,-z,text
kt_link_moved   := -static -Wl,--no-relax
kt_link_lowest  := $(kt_link_moved)
kt_link_window  := $(kt_link_moved)
kt_link_wishes  := $(kt_link_exec)
kt_link_large   := $(kt_link_exec)
kt_link_cpus    := $(kt_link_exec)
kt_link_direct  := $(kt_link_exec)
kt_link_tls     := $(kt_link_pie)
kt_link_huge    := $(kt_link_exec)
kt_link_kaslr   := $(kt_link_pie)
kt_extra_wishes := tests/kernels/wishes.c
kt_extra_large  := tests/kernels/large.S
kt_extra_huge   := tests/kernels/huge.S
kt_extra_cpus   := tests/kernels/cpus.c
kt_extra_direct := tests/kernels/direct.c
kt_extra_kaslr  := tests/kernels/kaslr.c

.PHONY: test-kernels
test-kernels: $(KT_NAMES:%=$(KT)/%.elf)

$(KT)/include/slipway_boot.h: common/boot/slipway_boot.h
	@mkdir -p $(@D); cp $< $@

define KT_RULES
$(KT)/$(1)/%.o: tests/kernels/% $(KT)/include/slipway_boot.h tests/kernels/kernels.mk
	@mkdir -p $$(@D); echo '  CC      $$@'
	$$(Q)$$(CC) $$(KT_FLAGS) $$(kt_code_$(1)) $$(kt_$(1):%=-D%) -c $$< -o $$@
$(KT)/$(1)/kernel.ld: tests/kernels/kernel.ld.S tests/kernels/kernels.mk
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -E -P $$(kt_$(1):%=-D%) -x assembler-with-cpp $$< -o $$@
$(KT)/$(1).elf: $(patsubst tests/kernels/%,$(KT)/$(1)/%.o,$(KT_SRC) $(kt_extra_$(1))) $(KT)/$(1)/kernel.ld
	@echo '  LINK    $$@'
	$$(Q)$$(CC) $$(KT_LINK) $$(kt_link_$(1)) -Wl,-T,$(KT)/$(1)/kernel.ld $$(filter %.o,$$^) -o $$@.sym
	$$(Q)$$(OBJCOPY) --strip-all $$@.sym $$@
endef
$(foreach name,$(KT_NAMES),$(eval $(call KT_RULES,$(name))))
