#include "kernel/cpus/apic.h"

#include "common/base/arith.h"
#include "common/x86/lapic.h"
#include "kernel/base/clock.h"
#include "kernel/base/layout.h"
#include "kernel/memory/kernel_space.h"

enum {
    VECTORS = 256,
    SPURIOUS_ENABLE = 1 << 8,
    TIMER_MASKED = 1 << 16, // one-shot when nothing else is set
    DIVIDE_BY_1 = 0xB,
    LINT0_LEGACY = 7 << 8, // ExtINT: the vector is the legacy controller's
    CALIBRATION_US = 2000,
};

static struct lapic lapic; // whichever CPU asks: each finds its own at the same place
static bool is_on;
static uint64_t timer_ticks_per_ms;

const char *apic_name(void) {
    if (!is_on)
        return "none";
    return lapic.is_x2apic ? "x2APIC" : "xAPIC";
}

bool apic_is_on(void) {
    return is_on;
}

uint32_t apic_id(void) {
    return lapic_id(&lapic);
}

bool apic_is_in_service(uint8_t vector) {
    return lapic_read(&lapic, LAPIC_IN_SERVICE + vector / 32u * LAPIC_STEP) >> vector % 32 & 1;
}

bool apic_end_of_interrupt(uint8_t vector) {
    if (!apic_is_in_service(vector))
        return false;
    lapic_write(&lapic, LAPIC_END_OF_INTERRUPT, 0);
    return true;
}

// Lets interrupts in. Interrupts that are still in service are ended, the highest first: an end of
// interrupt is always that of the highest.
static void enable(void) {
    for (unsigned vector = VECTORS; vector-- != 0;)
        (void)apic_end_of_interrupt((uint8_t)vector);
    lapic_write(&lapic, LAPIC_TASK_PRIORITY, 0);
    lapic_write(&lapic, LAPIC_SPURIOUS, SPURIOUS_ENABLE | APIC_SPURIOUS_VECTOR);
    lapic_write(&lapic, LAPIC_TIMER, TIMER_MASKED);
    lapic_write(&lapic, LAPIC_DIVIDE, DIVIDE_BY_1);
}

static void measure_timer(void) {
    lapic_write(&lapic, LAPIC_INITIAL_COUNT, UINT32_MAX);
    clock_wait(CALIBRATION_US);
    uint64_t ticks = UINT32_MAX - lapic_read(&lapic, LAPIC_CURRENT_COUNT);
    lapic_write(&lapic, LAPIC_INITIAL_COUNT, 0);
    timer_ticks_per_ms = ticks * 1000 / CALIBRATION_US;
}

static bool map_page(uint64_t phys) {
    struct vmem_mapping mapping = {
        .virt = vaddr(KERNEL_APIC),
        .phys = paddr(phys),
        .bytes = FRAME_BYTES,
        .rights = VMEM_READ | VMEM_WRITE,
        .cache = VMEM_CACHE_UC,
        .largest = VMEM_4K,
    };
    return space_map(&mapping) == VMEM_OK;
}

bool apic_start(void) {
    if (!lapic_find(&lapic) || (!lapic.is_x2apic && !map_page(lapic.page)))
        return false;
    lapic.page = KERNEL_APIC;
    is_on = true;
    enable();
    lapic_write(&lapic, LAPIC_LINT0, LINT0_LEGACY); // the loader left it masked
    measure_timer();
    return true;
}

bool apic_start_other(void) {
    struct lapic own;
    if (!is_on || !lapic_find(&own) || own.is_x2apic != lapic.is_x2apic)
        return false;
    enable();
    return true;
}

void apic_send(uint32_t id, uint8_t vector) {
    lapic_send(&lapic, id, LAPIC_SEND_FIXED | vector);
}

void apic_send_nmi(uint32_t id) {
    lapic_send(&lapic, id, LAPIC_SEND_NMI);
}

void apic_timer_once(uint8_t vector, uint64_t microseconds) {
    uint64_t ticks = timer_ticks_per_ms * microseconds / 1000;
    lapic_write(&lapic, LAPIC_TIMER, vector);
    lapic_write(&lapic, LAPIC_INITIAL_COUNT, (uint32_t)min_u64(max_u64(ticks, 1), UINT32_MAX));
}

void apic_timer_stop(void) {
    lapic_write(&lapic, LAPIC_INITIAL_COUNT, 0);
    lapic_write(&lapic, LAPIC_TIMER, TIMER_MASKED);
}
