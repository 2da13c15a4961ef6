#include "kernel/cpus/interrupts.h"

#include "common/x86/cpu.h"
#include "kernel/cpus/apic.h"
#include "kernel/cpus/cpus.h"
#include "kernel/memory/shootdown.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    // 8259A: command and data ports, initialisation words (Intel 8259A data sheet).
    PIC1_COMMAND = 0x20,
    PIC1_DATA = 0x21,
    PIC2_COMMAND = 0xA0,
    PIC2_DATA = 0xA1,
    ICW1_EDGE_CASCADE_ICW4 = 0x11,
    ICW3_SLAVE_ON_2 = 0x04,
    ICW3_SLAVE_ID = 0x02,
    ICW4_8086 = 0x01,
    OCW2_END_OF = 0x60, // and the line
    OCW3_READ_IN_SERVICE = 0x0B,
    PIC_LINES = 8,
    PIC1_LINE_OF_PIC2 = 2,
    PIC_LINE_SPURIOUS = 7, // of either: what it says when no line asks any more

    PIC1_VECTOR = 0x20, // vectors below are the CPU's own
    PIC2_VECTOR = 0x28,
    COM1_IRQ = 4,
    COM1_VECTOR = PIC1_VECTOR + COM1_IRQ,
    RAISED_VECTOR = 0x30, // no controller's
    TIMER_VECTOR = 0x31,  // of the local APIC
    ALL_MASKED = 0xFF,
};

static void (*com1_handler)(void);
static struct interrupts_counts counts[CPUS_MAX];

// A CPU that tries interrupts.
static struct {
    interrupts_handler handler; // null: it does not
    unsigned microseconds;
} tried[CPUS_MAX];

// One more may come after interrupts_try_stop, for which it was too late to be stopped.
static void handle_timer(void) {
    unsigned cpu = this_cpu();
    if (tried[cpu].handler != NULL) {
        tried[cpu].handler(INTERRUPTS_TIMER);
        apic_timer_once(TIMER_VECTOR, tried[cpu].microseconds);
    }
}

// Ends a line's interrupt at one controller, if that has it in service. Returns whether it had.
static bool pic_end_line(uint16_t command, unsigned line) {
    cpu_out8(command, OCW3_READ_IN_SERVICE);
    if (!(cpu_in8(command) >> line & 1))
        return false;
    cpu_out8(command, (uint8_t)(OCW2_END_OF | line));
    return true;
}

// The second controller's are the first one's as well, a spurious one of the second too: there it
// is in service, as line 2.
static bool pic_end(unsigned irq) {
    if (irq < PIC_LINES)
        return pic_end_line(PIC1_COMMAND, irq);
    bool was_in_service = pic_end_line(PIC2_COMMAND, irq - PIC_LINES);
    (void)pic_end_line(PIC1_COMMAND, PIC1_LINE_OF_PIC2);
    return was_in_service;
}

static bool is_of_pic(uint64_t vector) {
    return vector >= PIC1_VECTOR && vector < PIC2_VECTOR + PIC_LINES;
}

// What this kernel has a use for. Whatever raises these vectors, what they ask for does no harm.
static void serve(uint64_t vector) {
    if (vector == COM1_VECTOR && com1_handler != NULL)
        com1_handler();
    else if (vector == TIMER_VECTOR)
        handle_timer();
    else if (vector == INTERRUPTS_SHOOTDOWN_VECTOR)
        shootdown_serve();
    else if (vector == RAISED_VECTOR && tried[this_cpu()].handler != NULL)
        tried[this_cpu()].handler(INTERRUPTS_RAISED);
}

// Of the vectors from 0x20 on; those below are the CPU's own exceptions. `by_pic` and `by_apic`:
// the controller that had it in service.
static enum interrupts_kind kind_of(uint64_t vector, bool by_pic, bool by_apic) {
    if (by_pic) // 0x20 to 0x2F
        return vector == COM1_VECTOR ? INTERRUPTS_KIND_COM1 : INTERRUPTS_KIND_LEGACY;
    if (is_of_pic(vector) && !by_apic && vector % PIC_LINES == PIC_LINE_SPURIOUS)
        return INTERRUPTS_KIND_SPURIOUS_LEGACY;
    switch (vector) {
    case RAISED_VECTOR:
        return INTERRUPTS_KIND_RAISED;
    case TIMER_VECTOR:
        return INTERRUPTS_KIND_TIMER;
    case INTERRUPTS_SLICE_VECTOR:
        return INTERRUPTS_KIND_SLICE;
    case INTERRUPTS_WAKE_VECTOR:
        return INTERRUPTS_KIND_WAKE;
    case INTERRUPTS_SHOOTDOWN_VECTOR:
        return INTERRUPTS_KIND_SHOOTDOWN;
    case APIC_SPURIOUS_VECTOR: // in service: not the local APIC's own word, but one with its number
        return by_apic ? INTERRUPTS_KIND_UNKNOWN : INTERRUPTS_KIND_SPURIOUS_APIC;
    default:
        return INTERRUPTS_KIND_UNKNOWN;
    }
}

static void note(uint64_t vector, enum interrupts_kind kind) {
    struct interrupts_counts *own = &counts[this_cpu()];
    if (kind == INTERRUPTS_KIND_UNKNOWN)
        own->last_unknown = (uint8_t)vector;
    own->last = (uint8_t)vector;
    own->of[kind]++;
    __atomic_store_n(&own->all, own->all + 1, __ATOMIC_RELEASE);
}

const struct interrupts_counts *interrupts_counts(unsigned cpu) {
    return &counts[cpu];
}

void interrupts_restore_counts(const struct interrupts_counts *before) {
    counts[this_cpu()] = *before;
}

// A vector that means nothing here may be the firmware's, still on its way when that left, or a
// device's that it left with an MSI. It ends as all do.
void interrupts_handle(uint64_t vector) {
    serve(vector);
    bool by_pic = is_of_pic(vector) && pic_end((unsigned)vector - PIC1_VECTOR);
    bool by_apic = apic_is_on() && apic_end_of_interrupt((uint8_t)vector);
    note(vector, kind_of(vector, by_pic, by_apic));
}

// The data sheet does not say that a start ends what is in service.
void interrupts_start(void) {
    cpu_out8(PIC1_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC2_COMMAND, ICW1_EDGE_CASCADE_ICW4);
    cpu_out8(PIC1_DATA, PIC1_VECTOR);
    cpu_out8(PIC2_DATA, PIC2_VECTOR);
    cpu_out8(PIC1_DATA, ICW3_SLAVE_ON_2);
    cpu_out8(PIC2_DATA, ICW3_SLAVE_ID);
    cpu_out8(PIC1_DATA, ICW4_8086);
    cpu_out8(PIC2_DATA, ICW4_8086);
    cpu_out8(PIC1_DATA, ALL_MASKED);
    cpu_out8(PIC2_DATA, ALL_MASKED);
    for (unsigned irq = 0; irq < 2 * PIC_LINES; irq++)
        (void)pic_end(irq);
}

void interrupts_start_com1(void (*handler)(void)) {
    com1_handler = handler;
    cpu_out8(PIC1_DATA, (uint8_t) ~(1u << COM1_IRQ));
}

void interrupts_try_start(unsigned microseconds, interrupts_handler handler) {
    unsigned cpu = this_cpu();
    tried[cpu].handler = handler;
    tried[cpu].microseconds = microseconds;
    if (apic_is_on())
        apic_timer_once(TIMER_VECTOR, microseconds);
    cpu_interrupts_on();
}

void interrupts_raise(void) {
    cpu_raise(RAISED_VECTOR);
}

void interrupts_try_stop(void) {
    cpu_interrupts_off();
    if (apic_is_on())
        apic_timer_stop();
    tried[this_cpu()].handler = NULL;
}
