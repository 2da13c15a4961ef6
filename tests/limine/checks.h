// The checks, by topic, in the order in which they run. Each makes TAP lines.
#pragma once

#include "state.h"

void check_tags(void);
void check_requests(void);
void check_cpu(void);
void check_memory_map(void);
void check_efi_memory_map(void);
void check_memory_use(void); // writes to usable memory
void check_image(void);
void check_paging(void);
void check_direct_map(void);
void check_rights(void); // tries accesses
void check_loader_info(void);
void check_files(void);
void check_acpi(void);
void check_smbios(void);
void check_efi_system_table(void);
void check_machine_info(void);
void check_screens(void);
void check_controllers(void);
void check_local_apic(void);
void check_cpus(void);

// Parts of the running check about a CPU's state at entry; `name` says which.
void expect_general(const struct state *state, uint64_t rdi);
void expect_flags(const struct state *state);
void expect_selectors(const struct state *state);
void expect_gdt(const struct state *state);
void expect_control(const struct state *state);
void expect_tables(const struct state *state);
void expect_stack(const struct state *state);
void expect_local_apic(void); // of this CPU, which the window must reach
uint32_t local_apic_id(void); // the same
