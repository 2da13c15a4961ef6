// The kernel's notes: its wishes, and other notes around them.
#include "tests/firmware/random/kernel.h"

#include <string.h>

enum { STACK_BYTES_DEFAULT = 65536 };

static uint64_t put_note(uint8_t *to, uint64_t at, uint64_t align, const struct elf64_note *note,
                         const void *name, const void *desc) {
    memcpy(to + at, note, sizeof(*note));
    at += sizeof(*note);
    memcpy(to + at, name, note->name_bytes);
    at = align_up(at + note->name_bytes, align);
    memcpy(to + at, desc, note->desc_bytes);
    return at + note->desc_bytes;
}

// Of another owner, or ours of another type, or nearly of our name.
static uint64_t put_other(struct boot *boot, uint8_t *to, uint64_t at, uint64_t align) {
    static const struct {
        const char *name;
        uint32_t bytes;
        uint32_t type;
    } others[] = {
        {"GNU", 4, 3}, {"Slipway", 8, 2}, {"Slipways", 9, 1}, {"slipway", 8, 1}, {"", 0, 1}};
    uint64_t which = boot_below(boot, ARRAY_LEN(others));
    struct elf64_note note = {others[which].bytes, (uint32_t)boot_below(boot, 40),
                              others[which].type};
    uint8_t desc[40];
    for (uint32_t i = 0; i < sizeof(desc); i++)
        desc[i] = (uint8_t)random_next(&boot->random);
    return put_note(to, at, align, &note, others[which].name, desc);
}

// End of all framebuffers that the kernel gets.
static uint64_t screens_end(const struct boot *boot) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < boot->framebuffer_count; i++) {
        const struct slipway_framebuffer *framebuffer = &boot->framebuffers[i];
        end = max_u64(end, align_up(framebuffer->address_phys + framebuffer->bytes, FRAME_BYTES));
    }
    return end;
}

// Where the direct map has room for what ends at `direct_end`.
static uint64_t random_base(struct boot *boot, uint32_t levels, uint64_t direct_end) {
    uint64_t room = align_up(direct_end, GIB(512));
    uint64_t min = levels == 5 ? UINT64_C(0xff00000000000000) : SLIPWAY_HHDM_BASE;
    uint64_t steps = (SLIPWAY_WINDOW_BASE - room - min) / GIB(512);
    if (boot->kernel.virt < SLIPWAY_WINDOW_END) // it might lie in the way
        return 0;
    switch (boot_below(boot, 4)) {
    case 0:
        return 0;
    case 1:
        return min + steps * GIB(512); // the highest
    case 2:
        return min;
    default:
        return min + boot_below(boot, steps + 1) * GIB(512);
    }
}

static uint64_t random_stack(struct boot *boot) {
    if (boot_chance(boot, 1) && boot->pages > MIB(17) / FRAME_BYTES) {
        boot->pages -= MIB(16) / FRAME_BYTES;
        return MIB(16);
    }
    return boot_chance(boot, 40) ? 0 : FRAME_BYTES * (1 + boot_below(boot, 64));
}

static struct slipway_note_wishes random_wishes(struct boot *boot) {
    struct slipway_note_wishes wishes = {.version = SLIPWAY_BOOT_VERSION};
    if (boot_chance(boot, 30) && boot->framebuffer_count != 0 && boot->resolution == NULL)
        wishes.flags = SLIPWAY_NOTE_FRAMEBUFFER;
    if (boot_chance(boot, 20))
        wishes.flags |= SLIPWAY_NOTE_KEEP_SCREEN;
    if (boot_chance(boot, 40))
        wishes.flags |= SLIPWAY_NOTE_KASLR;
    uint64_t direct_end = max_u64(boot->ram_end, screens_end(boot));
    if (boot_chance(boot, 40) && direct_end <= SLIPWAY_HHDM_MAX_BYTES)
        wishes.flags |= SLIPWAY_NOTE_DIRECT;
    else
        direct_end = boot->ram_end;
    if (boot_chance(boot, 40))
        wishes.paging_levels = fake.has_la57 && boot_chance(boot, 50) ? 5 : 4;
    wishes.stack_bytes = random_stack(boot);
    wishes.hhdm_base = random_base(boot, wishes.paging_levels, direct_end);
    wishes.ram_floor_bytes = boot_below(boot, 2) * boot_below(boot, MIB(16));
    uint64_t pages = boot_cpus_pages(max_u64(wishes.stack_bytes, STACK_BYTES_DEFAULT));
    if (boot_chance(boot, 50) && boot->pages > pages) {
        boot->pages -= pages;
        wishes.flags |= SLIPWAY_NOTE_CPUS;
    }
    if (boot_chance(boot, 50))
        wishes.flags |= SLIPWAY_NOTE_CRASH;
    return wishes;
}

static uint64_t put_wishes(struct boot *boot, uint8_t *to, uint64_t at) {
    struct slipway_note_wishes *wishes = &boot->kernel.wishes;
    *wishes = random_wishes(boot);
    uint8_t desc[sizeof(*wishes) + 64] = {0};
    memcpy(desc, wishes, sizeof(*wishes));
    struct elf64_note note = {8, sizeof(*wishes), SLIPWAY_NOTE_TYPE};
    if (boot_chance(boot, 10)) // of a later layout that asks for nothing else
        note.desc_bytes += (uint32_t)boot_below(boot, 64);
    if (boot_chance(boot, 10)) { // of an earlier one
        note.desc_bytes = 8;
        *wishes = (struct slipway_note_wishes){.version = wishes->version, .flags = wishes->flags};
    }
    kernel_layout.wishes_file = at;
    return put_note(to, at, 4, &note, "Slipway", desc);
}

uint64_t boot_put_notes(struct boot *boot, uint8_t *to, uint64_t align, bool has_wishes) {
    uint64_t count = 1 + boot_below(boot, 4);
    uint64_t ours = boot_below(boot, count);
    uint64_t at = 0;
    memset(to, 0, 1024);
    for (uint64_t i = 0; i < count; i++) {
        bool is_ours = has_wishes && i == ours;
        at = is_ours ? put_wishes(boot, to, at) : put_other(boot, to, at, align);
        at = i + 1 < count || boot_chance(boot, 50) ? align_up(at, align) : at;
    }
    return at;
}

void boot_fill_in_wishes(struct boot *boot) {
    struct slipway_note_wishes *wishes = &boot->kernel.wishes;
    boot_tell(boot, "stack %lu, direct map 0x%lx, RAM floor %lu, levels %u, flags %u; ",
              wishes->stack_bytes, wishes->hhdm_base, wishes->ram_floor_bytes,
              wishes->paging_levels, wishes->flags);
    if (wishes->stack_bytes == 0)
        wishes->stack_bytes = STACK_BYTES_DEFAULT;
}
