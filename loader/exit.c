// See exit.h.
#include "loader/exit.h"

#include "common/x86/cpu.h"
#include "loader/firmware.h"
#include "loader/last_map.h"
#include "loader/log.h"
#include "loader/screen.h"
#include "loader/timeline.h"

enum {
    // Firmware is known whose second call fails too; loaders in the field go up to 128.
    ATTEMPTS_MAX = 128,
    REPLANS_MAX = 4,
};

// On COM1, and on every display that the kernel would have found: from the first attempt on the
// firmware's console must not be called.
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

void exit_stop(const struct space *space) {
    print_failure(space);
    cpu_stop();
}

// Reads the map and makes the tables fit it. Where the map needs more tables than their pool has, a
// larger pool is allocated, up to `replans_max` times: that changes the map, which is read again.
static EFI_STATUS fit_last_map(struct space *space, uint32_t replans_max) {
    for (uint32_t replans = 0;; replans++) {
        EFI_STATUS status = memory_map_read(&space->map);
        if (EFI_ERROR(status))
            return log_fail(status, "memory map: cannot read the last one (%s)",
                            log_status_text(status));
        enum last_map verdict = last_map_check(space, replans < replans_max);
        if (verdict == LAST_MAP_FITS)
            return EFI_SUCCESS;
        if (verdict == LAST_MAP_FAILED)
            return EFI_COMPROMISED_DATA;
        status = space_replan(space);
        if (EFI_ERROR(status))
            return status;
    }
}

// Before the first attempt: memory may still be allocated, and there are stages of the boot for it.
static EFI_STATUS prove_first(struct space *space) {
    timeline_begin("map");
    EFI_STATUS status = fit_last_map(space, REPLANS_MAX);
    timeline_end(space->map.bytes);
    if (EFI_ERROR(status))
        return status;
    timeline_begin("audit");
    status = last_map_audit(space);
    timeline_end(space->pool.used * FRAME_BYTES);
    return status;
}

// After a stale key nothing may be allocated. What this costs is part of the stage "exit".
static EFI_STATUS prove_again(struct space *space) {
    EFI_STATUS status = fit_last_map(space, 0);
    return EFI_ERROR(status) ? status : last_map_audit(space);
}

static EFI_STATUS attempt_exit(const struct space *space, uint32_t attempt, uint64_t *ret_tsc) {
    log_line(CONFIG_LOG_DEBUG, "ExitBootServices, attempt %u, with a map of %lu bytes", attempt,
             space->map.bytes);
    EFI_STATUS status = BS->ExitBootServices(firmware_image, space->map.key);
    *ret_tsc = timeline_now();
    return status;
}

EFI_STATUS exit_boot_services(struct space *space, uint32_t *ret_attempts, uint64_t *ret_tsc) {
    log_pause_firmware();
    EFI_STATUS status = prove_first(space);
    if (EFI_ERROR(status)) {
        log_resume_firmware();
        return status;
    }
    timeline_begin("exit");
    uint32_t attempt = 1;
    while (EFI_ERROR(attempt_exit(space, attempt, ret_tsc))) {
        if (attempt == ATTEMPTS_MAX) {
            log_fail(EFI_ABORTED, "ExitBootServices failed %d times", ATTEMPTS_MAX);
            exit_stop(space);
        }
        if (EFI_ERROR(prove_again(space)))
            exit_stop(space);
        attempt++;
    }
    cpu_interrupts_off(); // the firmware's handlers lie in memory that is the kernel's now
    timeline_end(0);
    log_line(CONFIG_LOG_DEBUG, "the firmware has left");
    *ret_attempts = attempt;
    firmware_forget();
    return EFI_SUCCESS;
}
