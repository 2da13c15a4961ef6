// CPU exceptions: descriptor tables, entry stubs and the readable report. Used by the loader (for
// faults before the kernel has an IDT of its own) and by the kernel.
//
// Position independent: the stubs and the report use no absolute address, because the loader's
// image runs here at another address than the one it was relocated to. So: no tables of pointers,
// no switch that becomes one (the target builds compile with -fno-jump-tables).
#pragma once

#include "common/base/fmt.h"
#include "common/vmem/vmem.h"

#include <stdint.h>

// Interrupt stack tables: faults that must not trust the stack they happened on.
enum trap_ist {
    TRAP_IST_NONE = 0,
    TRAP_IST_DOUBLE_FAULT = 1,
    TRAP_IST_NMI = 2,
    TRAP_IST_MACHINE_CHECK = 3,
    TRAP_IST_PAGE_FAULT = 4, // a stack that overflows into its guard page ends in one
    TRAP_IST_COUNT = 4,
};

// Task state segment, 64-bit (SDM 3A 8.7).
struct trap_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap_base;
} __attribute__((packed));

// Interrupt gate, 64-bit (SDM 3A 6.14.1).
struct trap_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

// The GDT of SLIPWAY_CS, SLIPWAY_DS and SLIPWAY_TSS (two slots).
struct trap_gdt {
    uint64_t null, code, data, tss[2];
};

// Operand of LGDT and LIDT.
struct trap_table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

#define TRAP_VECTORS 256

// What the stubs and the entry behind them push, lowest address first.
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error;
    uint64_t rip, cs, rflags, rsp, ss;
};

// Segment descriptors with the accessed bit set already, so that loading one writes nothing (SDM 3A
// 3.4.5, 3.4.5.1): 64-bit code, execute and read; data, read and write.
#define TRAP_GDT_CODE UINT64_C(0x00af9b000000ffff)
#define TRAP_GDT_DATA UINT64_C(0x00cf93000000ffff)

// Fills two slots with the descriptor of a TSS that is not busy and will be reached at `address`
// (at run time). `limit`: its last byte.
void trap_tss_fill(uint64_t ret_slots[2], uint64_t address, uint16_t limit);

// Fills a GDT whose TSS will be reached at `tss_address` (its address at run time).
void trap_gdt_fill(struct trap_gdt *gdt, uint64_t tss_address);

// Fills gates for all 256 vectors. `stubs_address` is the run-time address of trap_stubs, `code`
// the selector of their code segment. Faults listed in trap_ist use their stack, the rest none.
void trap_idt_fill(struct trap_gate idt[TRAP_VECTORS], uint64_t stubs_address, uint16_t code);

// Start of the 256 entry stubs, TRAP_STUB_BYTES apart. They push the vector, below an error code
// that is 0 where the CPU pushes none, and jump to trap_entry, or for double fault, NMI and machine
// check to trap_entry_anywhere. Both are defined by whoever links the stubs: loader/trap_entry.S,
// kernel/cpus/trap_entry.S. They save a struct trap_frame and end in trap_handle.
#define TRAP_STUB_BYTES 16
extern const char trap_stubs[];

// Defined by whoever links the stubs, too. Returns only from interrupts it has handled.
void trap_handle(struct trap_frame *frame);

// Loads GDT, reloads the segment registers with the selectors of code and of data, loads no LDT,
// the TSS that `task` selects and the IDT. Pointers are run-time addresses.
void trap_load(const struct trap_table_pointer *gdt, const struct trap_table_pointer *idt,
               uint16_t code, uint16_t data, uint16_t task);

// The name of an exception; of another vector "interrupt".
const char *trap_name(uint64_t vector);

// Prints what happened in words: exception name and vector, error code decoded, registers, control
// registers; for a page fault CR2 and its walk through `space` (null: no walk); for a machine check
// the banks of this CPU that report an error.
void trap_report(const struct sink *sink, const struct trap_frame *frame, const struct vmem *space);
