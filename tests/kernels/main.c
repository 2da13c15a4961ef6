// Kernels that assert the entry contract. One source, several links (kernels.mk); the command line
// says what to do:
//   (nothing)      every line of the contract
//   faults         the contract, then every access that must fault
//   fill           the contract, then all usable and reclaimable memory is overwritten
//   runtime        the contract, then the firmware's runtime services at addresses of its own
//   own-tables     the contract, then tables of the kernel's own, without the loader's window
//   direct-tables  the same, with stack, GDT and TSS of the loader's: for SLIPWAY_NOTE_DIRECT
//   hold           then stands still, if it has drawn on a screen
//   fault=NAME     one forbidden access, for the loader's fault report
//   image-alone    before that, tables of the kernel's own, of the window with the loader's image
//   alone fault=wait     waits for a fault from outside
#include "checks.h"
#include "kit.h"
#include "tasks.h"

_Noreturn void kernel_main(const struct slipway_boot_info *info);

void task_check_contract(void) {
    check_registers();
    check_control();
    check_machine();
    check_block();
    check_manifest();
    check_ranges();
    check_tables();
    check_descriptors();
    check_image();
    check_symbols();
    check_stack();
    check_direct();
    check_memory();
    check_direct_map();
    check_mtrrs();
    check_modules();
    check_framebuffers();
    check_firmware_tables();
    check_timeline();
    check_facts();
    check_reads();
    check_cpus();
}

void kernel_main(const struct slipway_boot_info *info) {
    boot = info;
    kit_print("KERNEL TEST BEGIN\n");
    if (kit_cmdline_has("image-alone"))
        task_keep_image_alone();
    if (task_fault_into_loader())
        check_finish();
    task_check_contract();
    task_check_large();
    task_check_huge();
    task_check_tls();
    if (kit_cmdline_has("own-tables"))
        task_switch_tables();
    if (kit_cmdline_has("direct-tables"))
        task_stay_on_stack();
    if (kit_cmdline_has("faults"))
        task_check_faults();
    if (kit_cmdline_has("runtime"))
        task_use_runtime();
    if (kit_cmdline_has("fill"))
        task_fill_memory();
    check_finish();
}
