// Interrupt controllers and IOMMUs as the loader left them.
#include "boot.h"
#include "checks.h"
#include "paging.h"
#include "requests.h"
#include "tables.h"
#include "tap.h"

#include <stddef.h>

enum { PIC1_MASK = 0x21, PIC2_MASK = 0xa1 };
enum { MADT_FLAGS = 40, MADT_PCAT = 1 };
enum { MADT_LAPIC = 0, MADT_IOAPIC = 1, MADT_LAPIC_NMI = 4, MADT_X2APIC = 9, MADT_X2APIC_NMI = 10 };

// Delivery modes, in entries of the I/O APIC and in LVT entries.
enum { MODE_FIXED = 0, MODE_LOWEST = 1, MODE_NMI = 4, MODE_EXTINT = 7 };
#define MODE_OF(entry) ((entry) >> 8 & 7)
#define IS_LOW         (1u << 13)
#define IS_LEVEL       (1u << 15)
#define IS_MASKED      (1u << 16)

static bool is_quiet_mode(uint32_t mode) {
    return mode == MODE_FIXED || mode == MODE_LOWEST ||
           (boot.revision >= 5 && (mode == MODE_NMI || mode == MODE_EXTINT));
}

static void check_pics(void) {
    tap_check("the legacy PICs have all lines masked");
    const struct acpi_header *madt = acpi_find("APIC", 0);
    if (madt && !(read_32((const uint8_t *)madt + MADT_FLAGS) & MADT_PCAT)) {
        tap_skip("this machine has none");
        return;
    }
    EXPECT(in8(PIC1_MASK) == 0xff && in8(PIC2_MASK) == 0xff, "masks %lx %lx",
           (uint64_t)in8(PIC1_MASK), (uint64_t)in8(PIC2_MASK));
}

static void check_io_apics(void) {
    enum { REGISTER = 0, WINDOW = 4, VERSION = 1, ENTRIES = 16 }; // dwords and indices
    tap_check(
        "I/O APIC entries of modes fixed and lowest priority, from base revision 5 on NMI and "
        "ExtINT, are masked");
    const uint8_t *entry = NULL;
    bool is_any = false;
    while ((entry = madt_next(entry, MADT_IOAPIC))) {
        volatile uint32_t *apic = window_device(read_32(entry + 4), 32);
        is_any = true;
        apic[REGISTER] = VERSION;
        uint32_t count = (apic[WINDOW] >> 16 & 0xff) + 1;
        for (uint32_t i = 0; i < count; i++) {
            apic[REGISTER] = ENTRIES + 2 * i;
            uint32_t low = apic[WINDOW];
            EXPECT(!is_quiet_mode(MODE_OF(low)) || low & IS_MASKED, "entry %lu is %lx", (uint64_t)i,
                   (uint64_t)low);
        }
    }
    if (!is_any)
        tap_skip("the MADT names none");
}

// VT-d 4.1, 10.4.5: the global status register; AMD's IOMMU, 3.4: the control register.
static void check_iommus(void) {
    enum { DMAR_UNITS = 48, DRHD = 0, GLOBAL_STATUS = 0x1c / 4 };
    enum { IVRS_BLOCKS = 48, IVHD_FIRST = 0x10, IVHD_LAST = 0x12, CONTROL = 0x18 / 4 };
    const uint32_t translates = UINT32_C(1) << 31, remaps = UINT32_C(1) << 25;
    const struct acpi_header *dmar = acpi_find("DMAR", 0), *ivrs = acpi_find("IVRS", 0);
    tap_check("from base revision 5 on VT-d does not translate or remap, AMD-Vi is off");
    bool is_kept = request_is_made(LIMINE_KEEP_IOMMU);
    if (boot.revision < 5 || is_kept || !(dmar || ivrs)) {
        tap_skip(boot.revision < 5 ? "not promised before"
                 : is_kept         ? "this kernel asks for the contrary"
                                   : "this machine has no IOMMU");
        return;
    }
    const uint8_t *end = dmar ? (const uint8_t *)dmar + dmar->bytes : NULL;
    for (const uint8_t *at = (const uint8_t *)dmar + DMAR_UNITS; dmar && at + 16 <= end;
         at += at[2] | at[3] << 8) {
        if ((at[0] | at[1] << 8) != DRHD)
            continue;
        volatile uint32_t *unit = window_device(read_64(at + 8), 0x100);
        uint32_t status = unit[GLOBAL_STATUS];
        EXPECT(!(status & (translates | remaps)), "global status %lx", (uint64_t)status);
    }
    end = ivrs ? (const uint8_t *)ivrs + ivrs->bytes : NULL;
    for (const uint8_t *at = (const uint8_t *)ivrs + IVRS_BLOCKS; ivrs && at + 16 <= end;
         at += at[2] | at[3] << 8) {
        if (at[0] < IVHD_FIRST || at[0] > IVHD_LAST)
            continue;
        volatile uint32_t *unit = window_device(read_64(at + 8), 0x100);
        EXPECT(!(unit[CONTROL] & 1), "control %lx", (uint64_t)unit[CONTROL]);
    }
}

void check_controllers(void) {
    check_pics();
    check_io_apics();
    check_iommus();
}

// Local APIC, Intel SDM 3A, 11.4: registers by offset.
enum { APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_SVR = 0xf0 };
enum { LVT_CMCI = 0x2f0, LVT_TIMER = 0x320, LVT_THERMAL = 0x330, LVT_COUNTERS = 0x340 };
enum { LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370 };

static uint32_t read_apic(unsigned offset) {
    static volatile uint32_t *apic;
    uint64_t base = read_msr(MSR_APIC_BASE);
    if (base & APIC_BASE_X2APIC)
        return (uint32_t)read_msr(MSR_X2APIC + (offset >> 4));
    if (!apic)
        apic = window_device(base & APIC_BASE_ADDRESS, PAGE_BYTES);
    return apic[offset / 4];
}

uint32_t local_apic_id(void) {
    uint32_t id = read_apic(APIC_ID);
    return read_msr(MSR_APIC_BASE) & APIC_BASE_X2APIC ? id : id >> 24;
}

static void expect_lvt(const char *name, unsigned offset) {
    uint32_t entry = read_apic(offset);
    EXPECT(!is_quiet_mode(MODE_OF(entry)) || entry & IS_MASKED, "%s of CPU %lu is %lx", name,
           (uint64_t)local_apic_id(), (uint64_t)entry);
}

// An entry that the MADT names for an NMI: polarity and trigger by ACPI's MPS INTI flags, where
// what conforms to the bus is high and edge.
static void expect_nmi(uint8_t pin, uint32_t flags) {
    uint32_t entry = read_apic(pin ? LVT_LINT1 : LVT_LINT0);
    if (!is_quiet_mode(MODE_OF(entry))) {
        tap_note("LINT%lu is left in mode %lu", (uint64_t)pin, (uint64_t)MODE_OF(entry));
        return;
    }
    uint32_t wanted = MODE_NMI << 8 | IS_MASKED | ((flags & 3) == 3 ? IS_LOW : 0) |
                      ((flags >> 2 & 3) == 3 ? IS_LEVEL : 0);
    EXPECT((entry & (7u << 8 | IS_MASKED | IS_LOW | IS_LEVEL)) == wanted,
           "LINT%lu of CPU %lu is %lx, not like %lx", (uint64_t)pin, (uint64_t)local_apic_id(),
           (uint64_t)entry, (uint64_t)wanted);
}

// The ACPI processor UID of this CPU.
static uint32_t own_uid(void) {
    uint32_t id = local_apic_id();
    const uint8_t *entry = NULL;
    while ((entry = madt_next(entry, MADT_LAPIC))) {
        if (entry[3] == id)
            return entry[2];
    }
    while ((entry = madt_next(entry, MADT_X2APIC))) {
        if (read_32(entry + 4) == id)
            return read_32(entry + 12);
    }
    return UINT32_MAX;
}

static void expect_nmis(void) {
    uint32_t uid = own_uid();
    const uint8_t *entry = NULL;
    while ((entry = madt_next(entry, MADT_LAPIC_NMI))) {
        if (entry[2] == 0xff || entry[2] == uid)
            expect_nmi(entry[5], entry[3]);
    }
    while ((entry = madt_next(entry, MADT_X2APIC_NMI))) {
        if (read_32(entry + 4) == UINT32_MAX || read_32(entry + 4) == uid)
            expect_nmi(entry[8], entry[2]);
    }
}

void expect_local_apic(void) {
    uint64_t base = read_msr(MSR_APIC_BASE);
    EXPECT(base & APIC_BASE_ENABLED, "APIC_BASE is %lx", base);
    if (!(base & APIC_BASE_ENABLED))
        return;
    uint64_t id = local_apic_id();
    uint32_t last = read_apic(APIC_VERSION) >> 16 & 0xff;
    EXPECT(read_apic(APIC_SVR) == 0x1ff, "SVR of CPU %lu is %lx", id,
           (uint64_t)read_apic(APIC_SVR));
    EXPECT(read_apic(APIC_TPR) == 0, "TPR of CPU %lu is %lx", id, (uint64_t)read_apic(APIC_TPR));
    expect_lvt("timer", LVT_TIMER);
    expect_lvt("LINT0", LVT_LINT0);
    expect_lvt("LINT1", LVT_LINT1);
    expect_lvt("error", LVT_ERROR);
    if (last >= 4)
        expect_lvt("counters", LVT_COUNTERS);
    if (last >= 5)
        expect_lvt("thermal", LVT_THERMAL);
    if (last >= 6)
        expect_lvt("CMCI", LVT_CMCI);
    expect_nmis();
}

void check_local_apic(void) {
    tap_check(
        "from base revision 5 on the local APIC is enabled, SVR 0x1ff, TPR 0, its LVT masked");
    if (boot.revision < 5)
        tap_skip("not promised before");
    else if (!(cpuid(1).edx & CPUID_APIC))
        tap_skip("this CPU has none");
    else
        expect_local_apic();
}
