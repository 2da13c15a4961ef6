// See enter_gdt.h.
#include "loader/enter_gdt.h"

#include "common/boot/slipway_boot.h"

// SDM 3A 3.4.5: 16-bit segments of 64 KiB, 32-bit segments of 4 GiB, accessed like TRAP_GDT_CODE.
#define CODE_16 UINT64_C(0x00009b000000ffff)
#define DATA_16 UINT64_C(0x000093000000ffff)
#define CODE_32 UINT64_C(0x00cf9b000000ffff)
#define DATA_32 TRAP_GDT_DATA

struct enter_selectors enter_selectors_of(enum machine_state state) {
    if (state == MACHINE_SLIPWAY)
        return (struct enter_selectors){SLIPWAY_CS, SLIPWAY_DS, SLIPWAY_TSS};
    return (struct enter_selectors){LIMINE_CS, LIMINE_DS, LIMINE_TSS};
}

uint16_t enter_gdt_fill(union enter_gdt *gdt, enum machine_state state, uint64_t tss_address) {
    if (state == MACHINE_SLIPWAY) {
        trap_gdt_fill(&gdt->slipway, tss_address);
        return sizeof(gdt->slipway) - 1;
    }
    uint64_t *slots = gdt->limine;
    slots[0] = 0;
    slots[1] = CODE_16;
    slots[2] = DATA_16;
    slots[3] = CODE_32;
    slots[4] = DATA_32;
    slots[LIMINE_CS / 8] = TRAP_GDT_CODE;
    slots[LIMINE_DS / 8] = TRAP_GDT_DATA;
    if (state == MACHINE_LIMINE_STRICT)
        trap_tss_fill(&slots[LIMINE_TSS / 8], 0, 0);
    else
        trap_tss_fill(&slots[LIMINE_TSS / 8], tss_address, sizeof(struct trap_tss) - 1);
    return sizeof(gdt->limine) - 1;
}
