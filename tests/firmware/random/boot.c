#include "tests/firmware/random/boot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct boot boot;

uint64_t boot_below(struct boot *self, uint64_t bound) {
    return random_below(&self->random, bound);
}

bool boot_chance(struct boot *self, unsigned percent) {
    return random_below(&self->random, 100) < percent;
}

void boot_tell(struct boot *self, const char *format, ...) {
    size_t left = sizeof(self->story) - self->story_bytes;
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(self->story + self->story_bytes, left, format, arguments);
    va_end(arguments);
    self->story_bytes += (size_t)bytes < left ? (size_t)bytes : left - 1;
}

const char *boot_story(void) {
    return boot.story;
}

static void (*const breaks[])(struct boot *) = {boot_break_kernel, boot_break_files,
                                                boot_break_machine};

void boot_run(uint64_t seed) {
    boot = (struct boot){.seed = seed, .random = {seed}, .pages = 5200};
    boot.is_sound = boot_chance(&boot, 60);
    fake_reset();
    boot_make_machine(&boot);
    boot_make_cpus(&boot);
    boot_make_displays(&boot);
    boot_make_kernel(&boot);
    boot_make_files(&boot);
    boot_make_changes(&boot);
    boot_make_told(&boot);
    for (uint64_t faults = boot.is_sound ? 0 : 1 + boot_below(&boot, 2); faults != 0; faults--)
        breaks[boot_below(&boot, ARRAY_LEN(breaks))](&boot);
    fake_boot();
    boot_check(&boot);
}

// In place of the loader's: nothing is where the displays of these machines are.
bool __wrap_framebuffer_start(const struct slipway_framebuffer *framebuffer);

bool __wrap_framebuffer_start([[maybe_unused]] const struct slipway_framebuffer *framebuffer) {
    return false;
}
