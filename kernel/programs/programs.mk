# Programs for the reference kernel: each of kernel/programs/*.c but user.c is one, and goes to BUILD/programs.
UP_SRC  := $(filter-out kernel/programs/user.c,$(sort $(wildcard kernel/programs/*.c)))
UP      := $(UP_SRC:kernel/programs/%.c=$(BUILD)/programs/%)
UP_BASE := $(BUILD)/user/kernel/programs/user.o $(BUILD)/user/kernel/programs/start.S.o

.PHONY: user-programs
user-programs: $(UP)

$(eval $(call compile,user,$$(CC) $$(FREE) -fno-pic -fno-pie))
# What compilers call without being asked.
UP_BASE += $(BUILD)/user/common/base/mem.o

$(BUILD)/programs/%: $(BUILD)/user/kernel/programs/%.o $(UP_BASE) kernel/programs/program.ld kernel/programs/programs.mk
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(LD) -static -nostdlib --build-id=none -z max-page-size=4096 -z noexecstack --fatal-warnings --strip-all \
	    -T kernel/programs/program.ld $(filter %.o,$^) -o $@
