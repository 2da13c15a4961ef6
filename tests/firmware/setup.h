// What the tests over the fake firmware share: a kernel, a config and modules on the fake volume,
// and what to expect of a boot's end.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/vmem/vmem.h"
#include "loader/machine_state.h"
#include "tests/firmware/fake.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/pe_file.h"
#include "tests/unit/support/test.h"

#define SETUP_CONFIG                                                                               \
    "cmdline = root=ram0 verbose\n"                                                                \
    "module = \\boot\\initrd.img the first one\n"                                                  \
    "module = \\empty\n"                                                                           \
    "digest = sha256\n"

#define SETUP_MODULE_BYTES 150000

// After what is wrong with the default kernel, without a config.
#define DEFAULT_KERNEL " (the default kernel: there is no slipway.conf)"

// The kernel on the volume as \kernel.elf; a test may change it before the boot.
extern struct elf_file setup_kernel;

// The contents of \boot\initrd.img.
extern uint8_t setup_module[SETUP_MODULE_BYTES];

// What a boot with setup_machine_boot makes of the machine, and what setup_expect_kernel expects;
// setup_boot forgets it.
extern struct machine_wishes setup_machine;

// Starts the loader with a kernel that has the note's wishes for everything else.
void setup_machine_boot(void);

// A machine with a volume of three files, and \slipway.conf with this text unless it is null.
void setup_boot(const char *config);

// The same, with a PE file in the kernel's place: setup_pe, made by `make`, a function of
// pe_file.h.
extern uint8_t setup_pe[PE_FILE_BYTES];
void setup_image(const char *config, void (*make)(uint8_t *file));

// The file on the volume of this path.
struct fake_file *setup_file(const char *path);

// Gives the kernel a note with these wishes.
void setup_wishes(struct slipway_note_wishes wishes);

// Variable range `index` of the MTRRs: a power of two of bytes, of the type SLIPWAY_MTRR_....
void setup_add_mtrr(uint32_t index, uint64_t start, uint64_t bytes, uint32_t type);

// Asserts that the loader broke no rule, and that of what the firmware gives, but for pages,
// nothing stayed behind: files, pools, events, protocols that are open or installed, images.
void setup_expect_no_breach(void);

// Asserts that the kernel was entered, by the rules, in the state that the contract promises, with
// a sound hand-over. Returns a copy of boot_info whose pointers into the block hold here; it lasts
// until the next call.
const struct slipway_boot_info *setup_expect_kernel(void);

// True if the hand-over of the copy is that of a kernel with SLIPWAY_NOTE_DIRECT.
bool setup_is_direct(const struct slipway_boot_info *info);

// How many other CPUs it lists.
uint32_t setup_count_others(const struct slipway_boot_info *info);

// The log that the kernel finds, of which setup_expect_kernel holds.
const char *setup_log(void);

// Asserts that it has this line, without the loader's name and the newline.
void setup_expect_logged(const char *want);

// The physical address of an address in the kernel's image, by the list of its pieces.
uint64_t setup_image_phys(const struct slipway_boot_info *info, uint64_t virt);

// The record of a CPU, which is not in the copy.
const struct slipway_cpu *setup_cpu(const struct slipway_boot_info *info, uint32_t index);

// Asserts that a GDT with this limit is that of setup_machine. Returns where its TSS is, 0: there
// is none.
uint64_t setup_check_gdt(const void *gdt, uint16_t limit);

// The tables that the kernel was entered with, which setup_expect_kernel has passed.
void setup_adopt_space(struct vmem *ret_space);

// Asserts that the loader gave everything back, broke no rule, and returned an error after one line
// on COM1, which `*ret_line` is, without the loader's name and the newline.
void setup_expect_return(const char **ret_line);

// Asserts that the loader gave everything back, broke no rule, and returned EFI_SUCCESS without a
// word.
void setup_expect_success(void);

// The same as of setup_expect_return, and that the line is `want`.
void setup_expect_failure(const char *want);

// Asserts that the machine was stopped, by the rules, after one line on COM1, which is `want`.
void setup_expect_stop(const char *want);

// Asserts that the text at `text` is `want`.
void setup_expect_text(const struct slipway_text *text, const char *want);

// Record `index` of an array of the copy.
const void *setup_record(const struct slipway_array *array, uint32_t index);

// Bytes that the hand-over lists as of this kind.
uint64_t setup_count_kind(const struct slipway_boot_info *info, uint32_t kind);

// The range of this purpose, the `index`th, or null.
const struct slipway_range *setup_find_range(const struct slipway_boot_info *info, uint32_t purpose,
                                             uint32_t index);
