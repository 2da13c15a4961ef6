// What a contract kernel can be told to do by its command line.
#pragma once

#include <stdbool.h>

// Every group of checks.h, in an order in which each may trust those before it.
void task_check_contract(void);

// Writes 0xff over every usable byte through the direct map, checks the contract again, then moves
// to a stack and descriptors of its own and does the same to what may be reclaimed. Ends the test.
_Noreturn void task_fill_memory(void);

// Gives the firmware's runtime services addresses in the upper half and uses them there: reads the
// time, and writes, reads and deletes a variable that would outlast the boot.
void task_use_runtime(void);

// Loads tables of its own, with the direct map and the kernel alone, and goes on under them.
void task_switch_tables(void);

// The root of such tables, which map the first `kept` times 512 GiB of the loader's window, too.
uint64_t tables_make_root(unsigned kept);

// For SLIPWAY_NOTE_DIRECT: loads such tables, on the boot stack and with the loader's GDT and TSS.
void task_stay_on_stack(void);

// The same with those of the window that have the loader's image, and with its IDT.
void task_keep_image_alone(void);

// With descriptors of its own, makes every access that must fault and checks how it did.
void task_check_faults(void);

// Makes one forbidden access, named on the command line (`fault=NAME`), while the loader's
// descriptors are in force: the loader's report must follow. False if none is named.
bool task_fault_into_loader(void);

// Checks what large.S put into the large kernel, and what huge.S made of the huge one; nothing in
// the others.
void task_check_large(void);
void task_check_huge(void);

// Checks the template of the kernel that has thread-local data, and that the others have none.
void task_check_tls(void);
