// Scenarios of a boot, and the ways in which firmware spoils them: a call fails, a read is odd, the
// memory map grows, its key is stale. Each run must end as it would have, or in a message that says
// what has failed, with everything given back; after the first ExitBootServices, where nobody can
// be given anything back, in a message and a stop.
#pragma once

#include "common/base/arith.h"
#include "tests/firmware/setup.h"

// How a scenario ends when nothing is spoilt.
enum faults_goal {
    FAULTS_SLIPWAY, // a kernel of the loader's own protocol runs
    FAULTS_LIMINE,  // one of the Limine protocol
    FAULTS_IMAGE,   // an EFI image has run, once
    FAULTS_REFUSAL, // the loader refuses, in words
    FAULTS_LEFT,    // people have left the menu
};

#define FAULTS_CALL(call) (UINT64_C(1) << (call))

struct faults_scenario {
    const char *name;
    void (*set_up)(void);
    enum faults_goal goal;
    uint32_t modules;    // that a kernel of Slipway's finds
    const char *refusal; // that the message has
    void (*check)(void); // asserts that a run that is not spoilt is what its name says; or null
    bool talks;          // there are lines on COM1 before the message
    bool is_random;      // where things lie, and with that the number of page tables
    bool trusts_reads;   // nothing but a read tells how long a file is
    bool looks_at_map;   // though no kernel comes to run
    uint64_t needs;      // FAULTS_CALL: calls that the loader can usually do without,
    uint64_t survives;   // and those that it usually cannot
};

// All of them. Each test makes of this list a test for each.
#define FAULTS_SCENARIOS(X)                                                                        \
    X(plain)                                                                                       \
    X(five_modules)                                                                                \
    X(many_modules)                                                                                \
    X(large_file)                                                                                  \
    X(slow_reads)                                                                                  \
    X(wrong_digest_of_kernel)                                                                      \
    X(wrong_digest_of_first_module)                                                                \
    X(wrong_digest_of_last_module)                                                                 \
    X(no_kernel)                                                                                   \
    X(kernel_is_folder)                                                                            \
    X(two_sizes)                                                                                   \
    X(broken_config)                                                                               \
    X(config_beside_loader)                                                                        \
    X(load_options)                                                                                \
    X(kernel_in_pieces)                                                                            \
    X(many_headers)                                                                                \
    X(symbols)                                                                                     \
    X(all_facts)                                                                                   \
    X(displays)                                                                                    \
    X(resolution)                                                                                  \
    X(crash_report)                                                                                \
    X(stale_key)                                                                                   \
    X(nx_firmware)                                                                                 \
    X(firmware_without_rights)                                                                     \
    X(five_levels)                                                                                 \
    X(direct_stacks)                                                                               \
    X(unmet_wish)                                                                                  \
    X(kaslr_by_cpu)                                                                                \
    X(kaslr_by_firmware)                                                                           \
    X(kaslr_without_entropy)                                                                       \
    X(limine)                                                                                      \
    X(limine_moved)                                                                                \
    X(no_console)                                                                                  \
    X(no_com1)                                                                                     \
    X(nobody_sees)                                                                                 \
    X(menu_edited)                                                                                 \
    X(menu_timeout)                                                                                \
    X(menu_left)                                                                                   \
    X(menu_on_com1)                                                                                \
    X(bls)                                                                                         \
    X(volumes)                                                                                     \
    X(pxe)                                                                                         \
    X(pxe_without_sizes)                                                                           \
    X(pxe_without_blocks)                                                                          \
    X(pxe_ipv6)                                                                                    \
    X(disc)                                                                                        \
    X(disc_config_on_volume)                                                                       \
    X(efi_application)                                                                             \
    X(efi_from_server)                                                                             \
    X(linux)                                                                                       \
    X(linux_large_initrd)                                                                          \
    X(linux_returns)

#define FAULTS_DECLARE(id) extern const struct faults_scenario faults_##id;
FAULTS_SCENARIOS(FAULTS_DECLARE)
#undef FAULTS_DECLARE

// ---- Runs

// The ways to spoil a scenario. Each counts its runs and fails where it has made none.
void faults_fail_calls(const struct faults_scenario *scenario);
void faults_spoil_reads(const struct faults_scenario *scenario);
void faults_grow_map(const struct faults_scenario *scenario);
void faults_refuse_exit(const struct faults_scenario *scenario);

// ---- Between the files

// The errors with which a call of this kind may fail, ended by EFI_SUCCESS; none if it cannot fail.
const EFI_STATUS *faults_errors(enum fake_call call);

enum { FAULTS_MODULES_MAX = 64 };

// A scenario's run that nothing has spoilt.
struct faults_base {
    const struct faults_scenario *scenario;
    uint64_t calls;
    uint8_t kinds[FAKE_CALLS_RECORDED];
    uint64_t reads;
    uint64_t pages; // that the kernel finds held
    uint32_t modules;
    uint64_t module_bytes[FAULTS_MODULES_MAX];
};

// What one run is to be judged by.
struct faults_run {
    const struct faults_base *base;
    enum fake_call failed; // the one call that has failed; FAKE_NONE: none has
    bool may_end;          // what was spoilt may end the boot; the message may be about anything
};

// Remembers what the machine is like before a run.
void faults_note_machine(void);

// Asserts what holds of the run that has just ended.
void faults_check(const struct faults_run *run);

// The set-up of `plain`, for others to begin with.
void faults_set_up_plain(void);

// Contents of a module that is longer than setup_module, and the call that puts it on the volume as
// \large.
extern uint8_t faults_large_module[MIB(2) + 1];
void faults_add_large(void);

// Asserts that it was given a place above 4 GiB, for which the memory map is looked at.
void faults_check_large(void);
