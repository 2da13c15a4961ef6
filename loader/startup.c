// See startup.h.
#include "loader/startup.h"

#include "common/base/mem.h"
#include "common/boot/slipway_boot.h"
#include "common/x86/regs.h"
#include "loader/firmware.h"

// From startup.S.
extern const char startup_begin[], startup_end[], startup_boot[], startup_protected[],
    startup_long[], startup_gdt[], startup_orders[];

enum {
    CODE_32 = 0x18, // startup.S has its descriptor
    GDT_ENTRIES = 4,
};

static uint64_t offset_of(const char *symbol) {
    return (uint64_t)(symbol - startup_begin);
}

void startup_write(const struct startup *startup) {
    uint8_t *page = firmware_pointer(startup->page);
    const struct startup_orders orders = {
        .gdt_limit = GDT_ENTRIES * 8 - 1,
        .gdt_base = startup->page + offset_of(startup_gdt),
        .to_protected = {(uint32_t)(startup->page + offset_of(startup_protected)), CODE_32},
        .to_long = {(uint32_t)(startup->page + offset_of(startup_long)), SLIPWAY_CS},
        .root = (uint32_t)startup->root,
        .cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
        .cr4 = (uint32_t)startup->cr4,
        .efer = EFER_LME | EFER_NXE, // LMA is the CPU's to set
        .pat = SLIPWAY_PAT,
        .others = startup->others,
        .boot = startup->boot,
    };
    memset(page, 0, FRAME_BYTES);
    memcpy(page, startup_begin, offset_of(startup_end));
    memcpy(page + offset_of(startup_orders), &orders, sizeof(orders));
}

uint64_t startup_boot_entry(uint64_t page) {
    return page + offset_of(startup_boot);
}
