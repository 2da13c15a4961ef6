// The groups of checks that make up the entry contract (slipway_boot.h, DESIGN section 2). DIRECT:
// the kernel's note has SLIPWAY_NOTE_DIRECT.
#pragma once

#include "slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

void check_registers(void);           // of the boot CPU: general registers, flags, stack pointer
void check_entry(uint64_t stack_top); // of any CPU: all of them but RDI
void check_control(void);             // control registers, MSRs, SSE, legacy PIC
void check_machine(void);             // APICs, timers, IOMMUs
void check_descriptors(void);         // GDT, TSS, IDT and the selectors
void check_block(void);               // arrays and texts lie in the block and are terminated
void check_manifest(void);            // the manifest by itself: order, windows, rights, leaf sizes
void check_tables(void);              // the page tables against the manifest
void check_image(void);               // the kernel's segments, relocations, RELRO, places
void check_symbols(void);             // the kernel's symbols, if it may lie anywhere
void check_stack(void);               // the stack's mapping and its guards
void check_direct(void);              // what lies in the direct map, if the note asked for it
void check_memory(void);     // the memory map against the raw EFI map and the loader's ranges
void check_ranges(void);     // the loader's ranges
void check_direct_map(void); // what is in the direct map, and with which rights
void check_mtrrs(void);      // the map of the MTRRs, and RAM
void check_modules(void);
void check_framebuffers(void);
void check_firmware_tables(void); // ACPI, SMBIOS, UEFI, by physical addresses; the clock
void check_timeline(void);
void check_facts(void); // what firmware may tell or not
void check_cpus(void);  // the other CPUs, if the note asked for them; they are released
void check_reads(void); // every mapped page can be read

// Purpose of the mapping of a stack.
#ifdef DIRECT
enum { STACK_PURPOSE = SLIPWAY_MAP_DIRECT };
#else
enum { STACK_PURPOSE = SLIPWAY_MAP_STACK };
#endif

// The mapping of the manifest that holds the address, or null.
const struct slipway_mapping *manifest_find(uint64_t virt);

// The mapping of the direct map or of the firmware's tables that holds this physical address, or
// null; and the virtual address in it, or 0.
const struct slipway_mapping *manifest_find_phys(uint64_t phys);
uint64_t manifest_address(uint64_t phys);

// True if all of [virt, virt + bytes) is mapped and lies in loader ranges of this purpose.
bool manifest_in_range(uint64_t virt, uint64_t bytes, uint32_t purpose);

// Purpose of the loader's image, where GDT, TSS and IDT of the boot CPU lie.
uint32_t manifest_loader_purpose(void);

// The i-th record, typed.
const struct slipway_mapping *manifest_mapping(uint32_t index);
const struct slipway_range *manifest_range(uint32_t index);
const struct slipway_memory *manifest_memory(uint32_t index);
