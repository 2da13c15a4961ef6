// A boot at random: one number decides the kernel, the files, the machine, and what the firmware
// does wrong. Every choice is noted in words, and whether it gives the boot a reason to fail: a
// boot without a reason must reach the kernel, and one that cannot be right must not.
#pragma once

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/boot/slipway_boot.h"
#include "tests/firmware/setup.h"
#include "tests/unit/support/random.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    BOOT_TEXT_BYTES = 65536,
    BOOT_MODULES_MAX = 64,
    BOOT_CHANGES_MAX = 12,
    BOOT_SEGMENTS_MAX = 90,
    BOOT_KERNEL_PAGES_MAX = 2048,
};

// The kernel: its file, and what must come of it.
struct boot_kernel {
    uint64_t file_bytes;
    uint64_t virt; // of the image's first page, at run time
    uint64_t pages;
    uint64_t slide;
    uint64_t entry;
    struct slipway_note_wishes wishes; // with the defaults
    bool is_scrambled;                 // nobody knows what must come of it
};

struct boot_module {
    const char *path;    // as in the config
    const char *cmdline; // as the kernel must see it
    const uint8_t *contents;
    uint64_t bytes;
};

// A change of the memory map, before a reading or in a call of ExitBootServices.
struct boot_change {
    uint32_t when; // from 1
    bool in_exit;
    void (*make)(uint64_t argument);
    uint64_t argument;
};

struct boot {
    uint64_t seed;
    struct random random;
    bool is_sound;        // no choice may give a reason to fail
    bool may_fail;        // the loader may give up
    bool must_fail;       // and must not start the kernel
    bool files_must_fail; // the same, unless the firmware hides the config
    bool may_stop;        // after a refused exit, the machine may stop
    bool has_broken_kernel;
    bool has_broken_files;
    bool has_odd_size; // of a file: one of its two sources is needed
    bool has_lies;     // the files are not what the kernel sees of them
    uint64_t pages;    // of RAM, left to spend
    uint64_t ram_end;  // no RAM that can be used lies above
    char story[8192];
    size_t story_bytes;
    struct boot_kernel kernel;
    const char *kernel_path; // as in the config
    const char *cmdline;
    const char *log;
    bool keeps_screen;      // as the config wishes
    const char *resolution; // what the config wishes; null: nothing
    bool has_config;
    bool has_digests;
    struct boot_module modules[BOOT_MODULES_MAX];
    uint32_t module_count;
    struct slipway_framebuffer framebuffers[FAKE_DISPLAYS_MAX]; // that must be handed over
    uint32_t framebuffer_count;
    struct boot_change changes[BOOT_CHANGES_MAX];
    uint32_t change_count;
    uint8_t com1_registers[8]; // as the firmware left them
    uint8_t com1_divisor[2];
    EFI_TPL tpl;
};

// Boots as the number says and asserts all that holds of any boot. Fails as assertions do.
void boot_run(uint64_t seed);

// The boot that runs or ran last, in one line.
const char *boot_story(void);

// ---- Between the files

// From 0 to `bound` - 1.
uint64_t boot_below(struct boot *boot, uint64_t bound);
bool boot_chance(struct boot *boot, unsigned percent);

// Notes a choice.
[[gnu::format(printf, 2, 3)]] void boot_tell(struct boot *boot, const char *format, ...);

void boot_make_kernel(struct boot *boot);

// The kernel is expected where this slide puts it: its file says nothing of it.
void boot_move_kernel(struct boot *boot, uint64_t slide);

void boot_make_files(struct boot *boot);
void boot_make_machine(struct boot *boot);
void boot_make_cpus(struct boot *boot);
void boot_make_told(struct boot *boot);
void boot_make_displays(struct boot *boot);
void boot_make_changes(struct boot *boot);

// Makes something go wrong.
void boot_break_kernel(struct boot *boot);
void boot_break_files(struct boot *boot);
void boot_break_machine(struct boot *boot);

// Pages of RAM that the CPUs take with stacks of this size, at most.
uint64_t boot_cpus_pages(uint64_t stack_bytes);

// What came of the boot, and of the CPUs if it got as far as a kernel.
void boot_check(struct boot *boot);
void boot_check_cpus(const struct boot *boot, const struct slipway_boot_info *info);

// The bytes of the kernel's file, and of its image as it must stand in memory; and the rights of
// each of its pages, VMEM_..., 0 for a page that nothing fills.
extern uint8_t boot_kernel_file[];
extern uint8_t boot_kernel_image[];
extern uint8_t boot_kernel_rights[];

// Writes sound notes at a place in the kernel's file; returns their bytes.
uint64_t boot_put_notes(struct boot *boot, uint8_t *to, uint64_t align, bool has_wishes);

// Tells the wishes, and fills in the defaults.
void boot_fill_in_wishes(struct boot *boot);
