#include "kernel/stop/power.h"

#include "common/x86/cpu.h"
#include "kernel/base/boot.h"
#include "kernel/console/console.h"
#include "kernel/stop/runtime.h"

enum {
    DEBUG_EXIT_PORT = 0xF4, // QEMU's isa-debug-exit: the status is value * 2 + 1
    DEBUG_EXIT_DONE = 0x10,
    DEBUG_EXIT_FAILED = 0x11,

    RESET_CONTROL_PORT = 0xCF9, // PCI chipsets: bit 1 full reset, bit 2 triggers it
    RESET_CONTROL_ARM = 0x02,
    RESET_CONTROL_RESET = 0x06,
    KEYBOARD_COMMAND_PORT = 0x64, // 8042: pulse output line 0, the reset line
    KEYBOARD_PULSE_RESET = 0xFE,

    RESET_WAIT_ROUNDS = 100000, // of port reads, 1 us each on hardware
};

[[gnu::noreturn]] void power_triple_fault(void); // triple_fault.S

static enum cmdline_exit chosen_exit = CMDLINE_EXIT_PROMPT;
static enum cmdline_failure chosen_failure = CMDLINE_FAILURE_STOP;

static bool is_test;

void power_set_exit(enum cmdline_exit exit, enum cmdline_failure failure) {
    chosen_exit = exit;
    chosen_failure = failure;
}

void power_begin_test(void) {
    is_test = true;
}

const char *power_bail_out(void) {
    return is_test ? "Bail out! " : "";
}

static void wait_for_reset(void) {
    for (unsigned round = 0; round < RESET_WAIT_ROUNDS; round++)
        (void)cpu_in8(KEYBOARD_COMMAND_PORT);
}

// Ways to reset that need no firmware, from the most orderly to the one that cannot fail.
[[gnu::noreturn]] static void reset_by_hardware(void) {
    cpu_out8(RESET_CONTROL_PORT, RESET_CONTROL_ARM);
    cpu_out8(RESET_CONTROL_PORT, RESET_CONTROL_RESET);
    wait_for_reset();
    cpu_out8(KEYBOARD_COMMAND_PORT, KEYBOARD_PULSE_RESET);
    wait_for_reset();
    power_triple_fault();
}

// Where the kernel goes on when the firmware's reset did not happen.
static enum runtime_reset wanted;

[[gnu::noreturn]] static void without_firmware(void) {
    if (wanted != RUNTIME_RESET_SHUTDOWN)
        reset_by_hardware();
    console_print("It is safe to switch the machine off.\n");
    cpu_stop();
}

[[gnu::noreturn]] static void end_by_firmware(enum runtime_reset type) {
    cpu_interrupts_off();
    wanted = type;
    const char *refusal = runtime_reset_system(type);
    console_print("power: %s\n", refusal);
    without_firmware();
}

void power_reboot(void) {
    end_by_firmware(RUNTIME_RESET_COLD);
}

void power_off(void) {
    end_by_firmware(RUNTIME_RESET_SHUTDOWN);
}

void power_debug_exit(void) {
    cpu_out8(DEBUG_EXIT_PORT, DEBUG_EXIT_DONE);
    console_print("There is no isa-debug-exit device. Stopped.\n");
    cpu_stop();
}

void power_end_test(bool is_passed) {
    cpu_out8(DEBUG_EXIT_PORT, is_passed ? DEBUG_EXIT_DONE : DEBUG_EXIT_FAILED);
    if (chosen_exit == CMDLINE_EXIT_POWEROFF)
        power_off();
    console_print("# Stopped.\n");
    cpu_stop();
}

void power_stop_failed(void) {
    if (chosen_exit == CMDLINE_EXIT_DEBUG || is_test)
        cpu_out8(DEBUG_EXIT_PORT, DEBUG_EXIT_FAILED);
    if (chosen_failure == CMDLINE_FAILURE_REBOOT)
        reset_by_hardware(); // the firmware's way needs locks that a CPU which has stopped may own
    console_print("Stopped.\n");
    cpu_stop();
}

void power_catch_firmware_fault(const struct trap_frame *frame) {
    if (!runtime_is_active())
        return;
    console_print("power: the firmware's ResetSystem faulted: vector %lu, rip 0x%lx, cr2 0x%lx\n",
                  frame->vector, frame->rip, cpu_read_cr2());
    without_firmware();
}
