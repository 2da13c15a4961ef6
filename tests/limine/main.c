// The conformance kernel of the Limine boot protocol, on x86-64: it is booted by a loader of that
// protocol and checks, sentence by sentence, what the protocol promises to a kernel. It knows
// nothing of the project but common/limine/limine.h, and can be booted by any such loader.
//
//   - limine.mk makes one ELF for each base revision, and some that differ in one thing.
//   - Beside the ELF, in its folder, must lie internal.mod and internal.gz, which limine.mk makes
//   too.
//   - The result is TAP (Test Anything Protocol) on COM1; the machine ends through QEMU's
//     isa-debug-exit at port 0xf4, with status 33 if all was well, else 35.
//   - Where the protocol leaves a choice, a check is `ok ... # SKIP loader's choice: ...`, and what
//   is
//     open stands in lines `# note:`. With a loader that does not know the ELF's base revision the
//     whole test is skipped.
//   - The kernel's command line says what only the outside knows: `cpus=4`, `screens=1`,
//   `modules=2`
//     (without the internal ones), `levels=4`, `path=/boot/x.elf`, `partition=1 disk=D part=P`
//     (first words of the GUIDs of GPT, or 0). The word `strict` says that the loader keeps to a
//     narrower contract: a direct map without execution, where the image's code and read-only data
//     cannot be written; without it the kernel checks what the protocol says.
#include "boot.h"
#include "checks.h"
#include "fault.h"
#include "memory.h"
#include "paging.h"
#include "tap.h"

_Noreturn void kernel_main(void);

void kernel_main(void) {
    state_read(&boot.state);
    tap_start();
    fault_start();
    boot_read();
    paging_read();

    check_tags();
    check_requests();
    check_memory_map();
    check_cpu();
    check_image();
    check_paging();
    check_direct_map();
    check_efi_memory_map();
    check_loader_info();
    check_files();
    check_screens();
    check_memory_use();
    check_rights();

    window_start();
    check_acpi();
    check_smbios();
    check_efi_system_table();
    check_machine_info();
    check_controllers();
    check_local_apic();
    check_cpus();
    check_claims();
    tap_finish();
}
