// Stands for firmware that leaves an interrupt in service at the local APIC: takes one of high
// priority that nobody ends, says so, and starts \EFI\BOOT\LOADER.EFI of its own volume.
#include "tests/apps/start.h"

#include "common/x86/cpu.h"
#include "common/x86/trap.h"

enum {
    VECTOR = 0xEF, // higher than all of the kernel's
    GATE_INTERRUPT = 0x8e,

    // The page of the local APIC, SDM 3A table 11-1 and figure 11-12.
    APIC_IN_SERVICE = 0x100 + VECTOR / 32 * 0x10,
    APIC_COMMAND = 0x300,
    COMMAND_FIXED_TO_SELF = 0x44000,
};
#define APIC_PAGE 0xffffff000

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

void take_without_end(void);
__asm__(".text; take_without_end: iretq");

static void set_gate(UINT64 handler) {
    struct trap_table_pointer idt;
    UINT16 cs;
    __asm__ volatile("sidt %0" : "=m"(idt));
    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    ((struct trap_gate *)idt.base)[VECTOR] = (struct trap_gate){
        .offset_low = (UINT16)handler,
        .selector = cs,
        .type = GATE_INTERRUPT,
        .offset_middle = (UINT16)(handler >> 16),
        .offset_high = (UINT32)(handler >> 32),
    };
}

static volatile UINT32 *apic_register(UINT32 at) {
    return (volatile UINT32 *)((cpu_rdmsr(MSR_APIC_BASE) & APIC_PAGE) + at);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) {
    EFI_HANDLE loader = start_load(image, system->BootServices);
    set_gate((UINT64)take_without_end);
    *apic_register(APIC_COMMAND) = COMMAND_FIXED_TO_SELF | VECTOR;
    while (!(*apic_register(APIC_IN_SERVICE) & 1U << VECTOR % 32))
        cpu_pause();
    serial_text("UNENDED INTERRUPT\r\n");
    return system->BootServices->StartImage(loader, NULL, NULL);
}
