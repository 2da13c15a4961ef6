// The other CPUs of the machine, for a kernel that asks for them: found in the MADT, started all
// together after the exit, and parked (park.h) until the kernel releases them. Owns the memory of
// SLIPWAY_RANGE_CPUS: the records of boot_info, what each CPU has for itself, and their stacks.
#pragma once

#include "common/boot/slipway_boot.h"
#include "loader/enter.h"
#include "loader/machine_state.h"
#include "loader/park.h"
#include "loader/plan.h"
#include "loader/startup.h"

#include <efi.h>

#include <stdint.h>

// So many CPUs are listed at most, the boot CPU among them.
enum { CPUS_MAX = 1024 };

struct cpus {
    uint32_t count; // records; 0: the kernel does not ask for CPUs
    uint32_t boot;  // index of the boot CPU's
    struct slipway_cpu *records;
    struct park_area *areas; // of the others, in the order of their records
    uint64_t stacks_phys;    // the same; with SLIPWAY_NOTE_DIRECT a guard below and above each
    bool has_cet;
    enum machine_state state;
    uint64_t apic_page;             // see enter_pages
    uint8_t boot_lints[MADT_LINTS]; // of the boot CPU: for MACHINE_LIMINE_STRICT, with or without
                                    // records
};

// How many there are but the boot CPU, for which there are areas and stacks.
static inline uint32_t cpus_others(const struct cpus *cpus) {
    return cpus->count == 0 ? 0 : cpus->count - 1;
}

// Lists the CPUs of the machine, if `wishes` asks for them, and allocates their memory. Where ACPI
// does not tell of them the boot CPU is alone, and the log says why. `has_guards`: plan_has_guards.
// Failures are recorded: there is no room, or the local APICs cannot have the mode that `machine`
// wishes for.
[[nodiscard]] EFI_STATUS cpus_alloc(struct cpus *cpus, const struct slipway_note_wishes *wishes,
                                    const struct machine_wishes *machine,
                                    const struct cpu_features *features, uint64_t rsdp_phys,
                                    bool has_guards);

// For a protocol whose kernels release CPUs by a record of their own: the CPU of record `index`,
// which is not the boot CPU's, enters the kernel when the 8 bytes at `released_at` are not 0 any
// more, at the address that stands there, with `argument` in RDI. `released_at` is an address of
// the kernel's half, a multiple of 8, and reads as 0 until the kernel runs. Without this call it is
// `entry` of the record, and the argument the record. From cpus_alloc on, before and after
// cpus_start.
void cpus_watch(const struct cpus *cpus, uint32_t index, uint64_t released_at, uint64_t argument);

// Where the startup page sends the others. `slide`: from the loader's image to its place in the
// kernel's half.
struct startup_target cpus_startup_target(uint64_t slide);

struct cpus_start {
    struct cpus *cpus;
    const struct plan_input *plan;
    const struct enter_cpu *boot; // the boot CPU's registers, which are those of all
    uint64_t startup;             // the startup page
};

// Starts all others and waits until they are parked, for a bounded time; those that are not by then
// are listed as absent. After the exit and enter_prepare, interrupts off, under the firmware's
// identity mapping. Logs what came of it.
void cpus_start(const struct cpus_start *start);
