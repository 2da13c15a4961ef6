// Memory maps that change under the loader, and exits that are refused.
#include "tests/firmware/random/boot.h"

#include <string.h>

enum {
    ATTEMPTS_MAX = 128, // of the loader
    DEMOTED_MAX = 16,   // pieces of RAM that the loader can demote
    PIECES_SAFE = 4,    // need no more tables than the loader has to spare
    PIECES_GROWN = 24,  // descriptors that every buffer has room for
};

static struct boot *current;
static uint32_t modules_readings; // of the memory map, for modules: they do not count
static uint64_t next_piece;       // no two changes in one place

// Each of them needs tables of its own.
static void add_ram(uint64_t count) {
    for (; count != 0; count--)
        fake_add_memory(GIB(64) + next_piece++ * MIB(64), FRAME_BYTES, EfiConventionalMemory);
}

static void punch_holes(uint64_t count) {
    for (; count != 0; count--)
        fake_add_memory(FAKE_HIGH_PHYS + MIB(800) + next_piece++ * MIB(2), FRAME_BYTES,
                        EfiReservedMemoryType);
}

static void add_reserved(uint64_t count) {
    for (; count != 0; count--)
        fake_add_memory(GIB(80) + next_piece++ * MIB(1), FRAME_BYTES, EfiReservedMemoryType);
}

static void take_free_pages(uint64_t page) {
    fake_set_memory(FAKE_ARENA_START + page * FRAME_BYTES, 3 * FRAME_BYTES, EfiBootServicesData);
    fake_set_memory(FAKE_ARENA_START + page * FRAME_BYTES, FRAME_BYTES, EfiReservedMemoryType);
}

static void change_key(uint64_t nothing) {
    (void)nothing;
    fake_change_map_key();
}

// Firmware that takes back what it gave: nothing sound can come of it, but no kernel either.
static void take_allocated_pages(uint64_t page) {
    fake_set_memory(FAKE_ARENA_END - page * FRAME_BYTES, 4 * FRAME_BYTES, EfiReservedMemoryType);
}

static void make_changes(bool in_exit, uint32_t when) {
    for (uint32_t i = 0; i < current->change_count; i++) {
        const struct boot_change *change = &current->changes[i];
        if (change->in_exit == in_exit && change->when == when)
            change->make(change->argument);
    }
}

static void before_map(uint32_t reading) {
    if (reading > modules_readings)
        make_changes(false, reading - modules_readings);
}

static void in_exit(uint32_t attempt) {
    make_changes(true, attempt);
}

static void add_change(struct boot *boot, const char *what, struct boot_change change) {
    if (boot->change_count == BOOT_CHANGES_MAX)
        return;
    boot->changes[boot->change_count++] = change;
    boot_tell(boot, "%s %u: %s %lu; ", change.in_exit ? "in exit" : "before reading", change.when,
              what, change.argument);
}

// RAM turns up where a display is: it would have two cache types.
static void add_ram_under_display(uint64_t base) {
    fake_add_memory(align_down(base, FRAME_BYTES), FRAME_BYTES, EfiConventionalMemory);
}

// Before the first exit the loader can ask for more tables.
static void change_early(struct boot *boot) {
    uint64_t left = PIECES_GROWN;
    for (uint32_t reading = 1; reading <= 4; reading++) {
        uint64_t count = 1 + boot_below(boot, 1 + left / 2);
        struct boot_change change = {.when = reading, .make = add_ram, .argument = count};
        if (!boot_chance(boot, 50) || left < count)
            continue;
        left -= count;
        if (boot_chance(boot, 40))
            change.make = punch_holes;
        add_change(boot, change.make == add_ram ? "RAM" : "holes", change);
    }
}

// After it there are the spare tables, and RAM can be demoted.
static void change_late(struct boot *boot) {
    bool only_ram = boot_chance(boot, 50);
    uint64_t left = only_ram ? DEMOTED_MAX : PIECES_SAFE;
    uint64_t count = 1 + boot_below(boot, left);
    for (uint64_t changes = 1 + boot_below(boot, 4); changes != 0 && left >= count; changes--) {
        bool in_call = boot_chance(boot, 50);
        struct boot_change change = {.when = 1 + (uint32_t)boot_below(boot, 4), .in_exit = in_call};
        change.argument = count;
        change.make = only_ram || boot_chance(boot, 40) ? add_ram : punch_holes;
        add_change(boot, change.make == add_ram ? "RAM" : "holes", change);
        left -= count;
        count = 1 + boot_below(boot, max_u64(left, 1));
    }
}

static void change_little(struct boot *boot) {
    struct boot_change change = {.when = 1 + (uint32_t)boot_below(boot, 3),
                                 .in_exit = boot_chance(boot, 50)};
    switch (boot_below(boot, 3)) {
    case 0:
        change.make = take_free_pages;
        change.argument = 0x130 + boot_below(boot, 0x1b0);
        add_change(boot, "the firmware takes page", change);
        break;
    case 1:
        change.make = add_reserved;
        change.argument = boot_below(boot, 4);
        add_change(boot, "descriptors", change);
        break;
    default:
        change.make = change_key;
        add_change(boot, "another key", change);
        break;
    }
}

// Each large module looks for room in the map, before the plan reads it.
static uint32_t count_modules_readings(const struct boot *boot) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < boot->module_count; i++)
        count += boot->modules[i].bytes >= MIB(2);
    return count;
}

void boot_make_changes(struct boot *boot) {
    current = boot;
    modules_readings = count_modules_readings(boot);
    next_piece = 0;
    fake.before_map = before_map;
    fake.in_exit = in_exit;
    if (boot_chance(boot, 20))
        fake.exit_refusals = 1 + (uint32_t)boot_below(boot, boot_chance(boot, 10) ? 120 : 4);
    if (fake.exit_refusals != 0)
        boot_tell(boot, "%u exits refused; ", fake.exit_refusals);
    if (boot_chance(boot, 10))
        change_little(boot);
    else if (fake.exit_refusals == 0 && boot_chance(boot, 10))
        change_early(boot);
    else if (boot_chance(boot, 20))
        change_late(boot);
}

// ---- What can be wrong

static void change_too_much(struct boot *boot) {
    static const struct {
        const char *what;
        void (*make)(uint64_t argument);
        uint64_t bound;
    } kinds[] = {{"RAM", add_ram, 100},
                 {"holes", punch_holes, 100},
                 {"descriptors", add_reserved, 900},
                 {"the firmware takes pages from the top,", take_allocated_pages, 100},
                 {"the firmware takes pages from the top,", take_allocated_pages, 400}};
    uint64_t kind = boot_below(boot, ARRAY_LEN(kinds));
    boot->may_fail = true;
    boot->may_stop = true;
    boot_tell(boot, "WRONG: ");
    add_change(boot, kinds[kind].what,
               (struct boot_change){.when = 1 + (uint32_t)boot_below(boot, 4),
                                    .in_exit = boot_chance(boot, 30),
                                    .make = kinds[kind].make,
                                    .argument = 10 + boot_below(boot, kinds[kind].bound)});
    if (boot_chance(boot, 50))
        fake.exit_refusals += 1;
}

static void change_under_display(struct boot *boot) {
    if (boot->framebuffer_count == 0)
        return;
    boot->may_fail = true;
    boot->may_stop = true;
    boot_tell(boot, "WRONG: ");
    add_change(boot, "RAM under a display at",
               (struct boot_change){.when = 2 + (uint32_t)boot_below(boot, 2),
                                    .make = add_ram_under_display,
                                    .argument = boot->framebuffers[0].address_phys});
    fake.exit_refusals += 1;
}

static void refuse_for_ever(struct boot *boot) {
    fake.exit_refusals = ATTEMPTS_MAX + (uint32_t)boot_below(boot, 2) * 1000;
    boot->may_stop = true;
    boot->must_fail = true;
    boot_tell(boot, "WRONG: %u exits refused; ", fake.exit_refusals);
}

static void fail_calls(struct boot *boot) {
    static const EFI_STATUS statuses[] = {EFI_OUT_OF_RESOURCES,  EFI_DEVICE_ERROR,
                                          EFI_INVALID_PARAMETER, EFI_NOT_FOUND,
                                          EFI_UNSUPPORTED,       EFI_BUFFER_TOO_SMALL};
    fake.fail_status = statuses[boot_below(boot, ARRAY_LEN(statuses))];
    boot->may_stop = true;
    if (boot_chance(boot, 40)) {
        fake.refused = (enum fake_call)(1 + boot_below(boot, FAKE_CALLS - 1));
        boot_tell(boot, "WRONG: calls of kind %d fail with 0x%lx; ", (int)fake.refused,
                  fake.fail_status);
        return;
    }
    fake.fail_at = 1 + boot_below(boot, boot_chance(boot, 70) ? 60 : 300);
    fake.fails_on = boot_chance(boot, 20);
    boot_tell(boot, "WRONG: call %lu %sfails with 0x%lx; ", fake.fail_at,
              fake.fails_on ? "and all after it " : "", fake.fail_status);
}

static void fill_memory(struct boot *boot) {
    uint64_t first = 0x601 + boot_below(boot, 0x1ff0 - 0x601);
    boot->may_fail = true;
    boot->may_stop = true; // there may be no room for another plan
    fake_set_memory(FAKE_ARENA_START + 0x101000, 0x1ef000, EfiReservedMemoryType);
    fake_set_memory(FAKE_ARENA_START + 0x601000, (first - 0x601) * FRAME_BYTES + FRAME_BYTES,
                    EfiReservedMemoryType);
    boot_tell(boot, "WRONG: little memory, from page 0x%lx on; ", first);
}

static void cover_memory(struct boot *boot) {
    const EFI_MEMORY_DESCRIPTOR descriptor = {
        .Type = 8 + (uint32_t)boot_below(boot, 8),
        .PhysicalStart = FAKE_ARENA_START + boot_below(boot, FAKE_ARENA_PAGES) * FRAME_BYTES,
        .NumberOfPages = 1 + boot_below(boot, FAKE_ARENA_PAGES),
        .Attribute = EFI_MEMORY_UC,
    };
    boot->may_fail = true;
    fake_add_descriptor(&descriptor);
    boot_tell(boot, "WRONG: type %u from 0x%lx, %lu pages; ", descriptor.Type,
              descriptor.PhysicalStart, descriptor.NumberOfPages);
}

void boot_break_machine(struct boot *boot) {
    switch (boot_below(boot, 14)) {
    case 0:
        fake.is_sev_guest = true;
        boot->must_fail = true;
        boot_tell(boot, "WRONG: encrypted memory; ");
        break;
    case 1:
        fake.stride =
            boot_chance(boot, 50) ? 8 * (1 + boot_below(boot, 4)) : 41 + boot_below(boot, 7);
        fake.probe_hides_stride = false;
        boot->must_fail = true;
        boot_tell(boot, "WRONG: stride %lu; ", fake.stride);
        break;
    case 2:
        refuse_for_ever(boot);
        break;
    case 3:
        fill_memory(boot);
        break;
    case 4:
        cover_memory(boot);
        break;
    case 5:
    case 6:
    case 7:
        change_too_much(boot);
        break;
    case 8:
    case 9:
        change_under_display(boot);
        break;
    default:
        fail_calls(boot);
        break;
    }
}
