#include "loader/exit.h"

#include "common/x86/cpu.h"
#include "loader/firmware.h"
#include "loader/log.h"
#include "loader/screen.h"
#include "loader/timeline.h"

enum {
    // Firmware is known whose second call fails too; loaders in the field go up to 128.
    ATTEMPTS_MAX = 128,
    REPLANS_MAX = 4,
};

// On COM1, and on every display that the kernel would have been given: firmware's console must not
// be called any more.
static void print_failure(const struct space *space) {
    struct sink sink = screen_sink();
    log_print_failure();
    for (uint32_t i = 0; i < space->plan.framebuffer_count; i++) {
        struct slipway_framebuffer framebuffer = space->plan.framebuffers[i];
        framebuffer.address = framebuffer.address_phys; // in the firmware's identity mapping
        if (screen_start(&framebuffer))
            fmt_print(&sink, "slipway: %s\n", log_failure());
    }
}

// Before the first attempt a failure goes back to the caller, after it the machine stops.
static EFI_STATUS give_up(const struct space *space, uint32_t attempts, EFI_STATUS status) {
    if (attempts != 0) {
        print_failure(space);
        cpu_stop();
    }
    log_resume_firmware();
    return status;
}

// Reads the map and holds the tables against it; on a change beyond the pool of tables, builds anew
// and reads again.
static EFI_STATUS check_last_map(struct space *space, bool may_replan) {
    for (uint32_t replans = 0;; replans++) {
        EFI_STATUS status = memory_map_read(&space->map);
        if (EFI_ERROR(status))
            return log_fail(status, "memory map: cannot read the last one (%s)",
                            log_status_text(status));
        enum space_verdict verdict =
            space_check_last_map(space, may_replan && replans < REPLANS_MAX);
        if (verdict == SPACE_SOUND)
            return EFI_SUCCESS;
        if (verdict != SPACE_REPLAN)
            return log_fail(EFI_COMPROMISED_DATA,
                            "memory map: the last one does not fit the page tables");
        status = space_replan(space);
        if (EFI_ERROR(status))
            return status;
    }
}

// The stages "map" and "audit" are those of the first attempt; all that a stale key costs is in
// "exit".
static EFI_STATUS prove(struct space *space, bool first) {
    if (first)
        timeline_begin("map");
    EFI_STATUS status = check_last_map(space, first);
    if (first) {
        timeline_end(space->map.bytes);
        timeline_begin("audit");
    }
    if (!EFI_ERROR(status))
        status = space_audit(space);
    if (first)
        timeline_end(space->pool.used * FRAME_BYTES);
    return status;
}

EFI_STATUS exit_boot_services(struct space *space, uint32_t *ret_attempts, uint64_t *ret_tsc) {
    log_pause_firmware();
    for (uint32_t attempts = 0; attempts < ATTEMPTS_MAX;) {
        EFI_STATUS status = prove(space, attempts == 0);
        if (EFI_ERROR(status))
            return give_up(space, attempts, status);
        if (attempts++ == 0)
            timeline_begin("exit");
        log_line(CONFIG_LOG_DEBUG, "ExitBootServices, attempt %u, with a map of %lu bytes",
                 attempts, space->map.bytes);
        status = BS->ExitBootServices(firmware_image, space->map.key);
        *ret_tsc = timeline_now();
        if (!EFI_ERROR(status)) {
            cpu_interrupts_off(); // the firmware's handlers lie in memory that is the kernel's now
            timeline_end(0);
            log_line(CONFIG_LOG_DEBUG, "the firmware has left");
            *ret_attempts = attempts;
            firmware_forget();
            return EFI_SUCCESS;
        }
    }
    return give_up(space, ATTEMPTS_MAX,
                   log_fail(EFI_ABORTED, "ExitBootServices failed %d times", ATTEMPTS_MAX));
}
