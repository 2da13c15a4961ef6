// Commands of the prompt that show something of the kernel and the machine. Each prints on the
// console what its name says, within 80 columns but for paths and texts of others; `address` is
// virtual.
#pragma once

#include <stdint.h>

void show_map(void);
void show_tables(void);
void show_cpus(void);
void show_interrupts(void);
void show_modules(void);
void show_acpi(void);
void show_log(void);
void show_walk(uint64_t address);
void show_translation(uint64_t address);

// The processes: whose children they are, what they do, for how long they have run, and what they
// have touched.
void show_processes(void);
