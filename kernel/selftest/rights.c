#include "kernel/selftest/rights.h"

#include "common/x86/trap.h"
#include "kernel/base/boot.h"
#include "kernel/base/layout.h"
#include "kernel/cpus/cpus.h"
#include "kernel/cpus/stacks.h"
#include "kernel/memory/kernel_space.h"
#include "kernel/selftest/check.h"
#include "kernel/stop/probe.h"

void selftest_rights(void) {
    const struct slipway_boot_info *info = boot_info();
    uint64_t text = layout_address(_text_start);
    uint64_t text_alias = space_direct_alias(text);
    check(!probe_read(0), "the first page is absent");
    check(!probe_write(text), "text is read-only");
    check(!probe_write(text_alias), "the alias of text in the direct map is read-only");
    check(!probe_write(layout_address(_rodata_start)), "read-only data is read-only");
    check(!probe_execute(layout_address(_data_start)), "data does not execute");
    check(!probe_execute(text_alias), "the direct map does not execute");
    check(!probe_read(info->stack_bottom - 1), "there is a guard page below the boot stack");
    check(!probe_read(info->stack_top), "there is a guard page above the boot stack");
}

static void test_stack(uint64_t top, uint64_t bytes) {
    check(probe_write(top - 1) && probe_write(top - bytes), "a stack can be written to its ends");
    check(!probe_read(top - bytes - 1), "there is a guard page below a stack");
}

void selftest_stacks(void) {
    for (unsigned cpu = 0; cpu < cpus_started(); cpu++) {
        for (unsigned ist = 1; ist <= TRAP_IST_COUNT; ist++)
            test_stack(stacks_ist_top(cpu, ist), KERNEL_IST_BYTES);
        test_stack(stacks_top(cpu), KERNEL_STACK_BYTES);
    }
}

void selftest_adoption(void) {
    check(space_adopt(boot_info()) == SPACE_ERR_ADOPTED, "a second adoption is refused");
}
