// What the page tables map: the image, the HHDM, the lower half; and accesses that prove it.
#include "boot.h"
#include "checks.h"
#include "fault.h"
#include "memory.h"
#include "paging.h"
#include "requests.h"
#include "tap.h"

#include <stddef.h>

enum { CACHE_WB = 0, CACHE_WC = 5 }; // indices into the PAT
enum { ZEROS_BYTES = 10000 };

#define LOWEST_IMAGE   UINT64_C(0xffffffff80000000)
#define LOWER_HALF_END (UINT64_C(1) << 63)
#define RUN_TEXT       "[%lx, +%lx) to %lx, rights %lx, PAT %lu"
#define RUN_OF(run)                                                                                \
    (run)->virt, (run)->bytes, (run)->phys, (uint64_t)(run)->rights, (uint64_t)(run)->cache

static volatile uint8_t in_data = 0xc3; // RET
static volatile uint8_t in_bss[ZEROS_BYTES];

static uint64_t page_start(uint64_t address) {
    return address & ~(PAGE_BYTES - 1);
}

static uint64_t page_end(uint64_t address) {
    return page_start(address + PAGE_BYTES - 1);
}

static bool is_direct(const struct run *run) {
    return run->virt >= boot.hhdm && run->virt - boot.hhdm == run->phys && run->virt < LOWEST_IMAGE;
}

// The image

// Checks that all runs over [start, end) grant just that.
static void expect_rights(const char *start, const char *end, uint8_t rights) {
    for (uint64_t at = (uint64_t)start; at < (uint64_t)end;) {
        const struct run *run = paging_find(at);
        EXPECT(run, "%lx is not mapped", at);
        if (!run)
            return;
        EXPECT((run->rights & ~RUN_GLOBAL) == rights, RUN_TEXT, RUN_OF(run));
        at = run->virt + run->bytes;
    }
}

static void check_image_place(void) {
    uint64_t bytes = (uint64_t)(image_end - image_start);
    const struct limine_pair_response *address = response_of(LIMINE_EXECUTABLE_ADDRESS);
    tap_check("the image is at 0xffffffff80000000 or above");
    EXPECT((uint64_t)image_start >= LOWEST_IMAGE, "it is at %lx", (uint64_t)image_start);

    tap_check("the image is one range of physical memory, which EXECUTABLE_ADDRESS tells");
    const struct run *run = paging_find((uint64_t)image_start);
    uint64_t phys = run ? run->phys + ((uint64_t)image_start - run->virt) : 0;
    EXPECT(run && paging_maps((uint64_t)image_start, phys, bytes), "from %lx on", phys);
    if (address) {
        EXPECT(address->first == phys, "physical base %lx, not %lx", address->first, phys);
        EXPECT(address->second == (uint64_t)image_start, "virtual base %lx, not %lx",
               address->second, (uint64_t)image_start);
    } else {
        tap_note("no answer to EXECUTABLE_ADDRESS");
    }
    claim(phys, bytes, "the image");

    tap_check("no part of the image is in memory that is usable or reclaimable");
    EXPECT(memory_none_in(phys, bytes, TYPE(USABLE) | TYPES_OF_LOADER),
           "[%lx, +%lx): types there %lx", phys, bytes, memory_look(phys).types);
    tap_check("the image is in memory of type executable and modules");
    if (!memory_all_in(phys, bytes, TYPE(EXECUTABLE_AND_MODULES)))
        tap_skip_choice("such entries are meant to illustrate only");
    else
        EXPECT(true, "%lx", phys);
}

void check_image(void) {
    check_image_place();
    tap_check("segments are mapped with the rights that they ask for, as supervisor");
    if (variant.is_rwx) {
        expect_rights(image_start, image_end, RUN_WRITE | RUN_EXECUTE);
    } else {
        expect_rights(image_start, image_rodata, RUN_EXECUTE);
        expect_rights(image_rodata, image_data, 0);
        expect_rights(image_data, image_end, RUN_WRITE);
    }
    tap_check("what no file has of a segment is 0");
    for (int i = 0; i < ZEROS_BYTES; i++)
        EXPECT(in_bss[i] == 0, "byte %lu is %lx", (uint64_t)i, (uint64_t)in_bss[i]);
    tap_check("data is as in the file");
    EXPECT(in_data == return_code[0], "%lx, not %lx", (uint64_t)in_data, (uint64_t)return_code[0]);
    tap_check("pointers in data lead to where the image is");
    static const char *volatile const pointer = image_start;
    EXPECT(pointer == image_start, "%lx", (uint64_t)pointer);
}

// The tables as such

static void check_mode(void) {
    const struct limine_value_response *mode = response_of(LIMINE_PAGING_MODE);
    bool has_la57 = (cpuid(7).ecx & 1 << 16) != 0;
    uint64_t wanted = cmdline_number("levels", variant.asks_5_levels && has_la57 ? 5 : 4);
    tap_check("the tables have the levels that the kernel asks for, else 4");
    EXPECT((uint64_t)boot.levels == wanted, "%lu levels, not %lu", (uint64_t)boot.levels, wanted);
    tap_check("PAGING_MODE says which mode is enabled");
    if (mode)
        EXPECT(mode->value == (boot.levels == 5 ? LIMINE_PAGING_5_LEVELS : LIMINE_PAGING_4_LEVELS),
               "mode %lu", mode->value);
    else
        tap_skip(variant.asks_paging ? "no answer to PAGING_MODE" : "this kernel does not ask");
}

static void check_identity(void) {
    uint8_t rights = boot.is_strict ? 0 : RUN_WRITE | RUN_EXECUTE;
    tap_check("at base revision 0 [0x1000, 4 GiB) and all entries are mapped to themselves, with "
              "the HHDM's rights");
    if (boot.revision > 0) {
        tap_skip("dropped at base revision 1");
        return;
    }
    EXPECT(paging_maps(PAGE_BYTES, PAGE_BYTES, 4 * GIB - PAGE_BYTES), "%lx",
           paging_lacking(PAGE_BYTES, 4 * GIB - PAGE_BYTES, 0));
    uint64_t lacking = paging_lacking(PAGE_BYTES, 4 * GIB - PAGE_BYTES, rights);
    EXPECT(lacking == 4 * GIB, "no right at %lx", lacking);
    for (uint64_t i = 0; i < memory_count(); i++) {
        uint64_t start = page_start(memory_entry(i)->base);
        uint64_t end = page_end(memory_entry(i)->base + memory_entry(i)->bytes);
        if (start < 4 * GIB)
            continue;
        EXPECT(paging_maps(start, start, end - start), "[%lx, %lx)", start, end);
        EXPECT(paging_lacking(start, end - start, rights) == end, "no right in [%lx, %lx)", start,
               end);
    }
}

static void check_lower_half(void) {
    tap_check("from base revision 1 on the lower half is empty");
    if (boot.revision == 0) {
        tap_skip("at base revision 0 it is the identity map");
        return;
    }
    EXPECT(paging.count > 0, "%lu runs", paging.count);
    for (uint64_t i = 0; i < paging.count && paging.runs[i].virt < LOWER_HALF_END; i++)
        EXPECT(false, RUN_TEXT, RUN_OF(&paging.runs[i]));
}

void check_paging(void) {
    tap_check("page tables are in bootloader-reclaimable memory");
    EXPECT(paging.tables > 0 && paging.foreign_tables == 0, "%lu of %lu are not, first %lx",
           paging.foreign_tables, paging.tables, paging.first_foreign);
    tap_check("no entry has a reserved bit set");
    EXPECT(paging.reserved_bits == 0, "%lu have", paging.reserved_bits);
    check_mode();
    tap_check("nothing is mapped for user mode");
    EXPECT(paging.count > 0, "%lu runs", paging.count);
    for (uint64_t i = 0; i < paging.count; i++)
        EXPECT(!(paging.runs[i].rights & RUN_USER), RUN_TEXT, RUN_OF(&paging.runs[i]));
    check_lower_half();
    check_identity();

    uint64_t others = 0;
    for (uint64_t i = 0; i < paging.count; i++) {
        const struct run *run = &paging.runs[i];
        bool is_image =
            run->virt >= page_start((uint64_t)image_start) && run->virt < (uint64_t)image_end;
        if (run->virt < LOWER_HALF_END || is_direct(run) || is_image)
            continue;
        if (others++ < 4)
            tap_note("also mapped: " RUN_TEXT, RUN_OF(run));
    }
    tap_note("%lu page tables, %lu runs, %lu neither HHDM nor image", paging.tables, paging.count,
             others);
}

// The HHDM

static void check_coverage(void) {
    tap_check("up to base revision 2 the HHDM has all of the first 4 GiB");
    if (boot.revision <= 2)
        EXPECT(paging_maps(boot.hhdm, 0, 4 * GIB), "%lx",
               paging_lacking(boot.hhdm, 4 * GIB, 0) - boot.hhdm);
    else
        tap_skip("dropped at base revision 3");

    tap_check("the HHDM has all memory of the types that the base revision maps, in whole pages");
    for (uint64_t i = 0; i < memory_count(); i++) {
        const struct limine_memory_entry *entry = memory_entry(i);
        if (!(memory_mapped_types() & UINT64_C(1) << entry->type))
            continue;
        uint64_t start = page_start(entry->base), end = page_end(entry->base + entry->bytes);
        EXPECT(paging_maps(boot.hhdm + start, start, end - start), "[%lx, %lx) of type %lu", start,
               end, entry->type);
    }
}

// The whole pages of [start, end) that have nothing of these types.
static void expect_only(uint64_t start, uint64_t end, uint64_t types) {
    while (start < end) {
        uint64_t stop = start;
        struct memory_at at = memory_look(start);
        while (stop < end && !(at.types & types)) {
            stop = at.end;
            at = memory_look(stop);
        }
        stop = stop < end ? stop : end;
        EXPECT(page_end(start) >= page_start(stop), "[%lx, %lx) has types %lx", start, stop,
               memory_look(start).types);
        start = stop > start ? stop : at.end;
    }
}

static void check_nothing_else(void) {
    tap_check("the HHDM has no page of other types, above 4 GiB or from base revision 3 on at all");
    if (boot.revision == 0) {
        tap_skip("at base revision 0 it has all types");
        return;
    }
    EXPECT(paging.count > 0, "%lu runs", paging.count);
    for (uint64_t i = 0; i < paging.count; i++) {
        const struct run *run = &paging.runs[i];
        if (!is_direct(run))
            continue;
        uint64_t start = run->phys, end = run->phys + run->bytes;
        if (boot.revision <= 2 && start < 4 * GIB)
            start = 4 * GIB;
        if (start >= end)
            continue;
        if (boot.revision >= 3)
            expect_only(start, end, memory_mapped_types());
        else
            EXPECT(memory_none_in(start, end - start, TYPE(RESERVED) | TYPE(BAD)), "[%lx, %lx)",
                   start, end);
    }
}

static bool is_framebuffer_page(uint64_t phys) {
    return !memory_none_in(page_start(phys), PAGE_BYTES, TYPE(FRAMEBUFFER));
}

static void check_cache(void) {
    tap_check("image, HHDM and identity map are write-back (PAT 0), framebuffers write-combining "
              "(PAT 5)");
    uint8_t wc = cpuid(1).edx & CPUID_PAT ? CACHE_WC : CACHE_WB;
    for (uint64_t i = 0; i < paging.count; i++) {
        const struct run *run = &paging.runs[i];
        bool is_ours = is_direct(run) || run->virt == run->phys || run->virt >= LOWEST_IMAGE;
        for (uint64_t at = run->phys; is_ours && at < run->phys + run->bytes;) {
            // Memory changes its type at an entry's bounds, and framebuffers take whole pages.
            bool is_screen = is_framebuffer_page(at);
            EXPECT(run->cache == (is_screen ? wc : CACHE_WB), "%lx of " RUN_TEXT, at, RUN_OF(run));
            uint64_t end = memory_look(at).end;
            at = is_screen || page_start(end) == page_start(at) ? page_start(at) + PAGE_BYTES
                                                                : page_start(end);
            if (is_screen && page_start(end) > at)
                at = page_start(end);
        }
    }
}

// The physical range of what the kernel asks to be read-only.
static bool is_sealed(const struct run *run) {
    const struct run *text = paging_find((uint64_t)image_start);
    uint64_t end = text->phys + (uint64_t)(image_data - image_start);
    return !variant.is_rwx && run->phys >= text->phys && run->phys + run->bytes <= end;
}

// With a strict loader: no leaf is both, and the CPUs that wait have a page or two to execute.
static void expect_strict(const struct run *run) {
    bool is_code = (run->rights & RUN_EXECUTE) != 0;
    bool is_written = (run->rights & RUN_WRITE) != 0;
    EXPECT(!(is_code && is_written), RUN_TEXT, RUN_OF(run));
    EXPECT(!is_code || memory_all_in(run->phys, run->bytes, TYPES_OF_LOADER), RUN_TEXT,
           RUN_OF(run));
    EXPECT(is_code || is_written || is_sealed(run) ||
               memory_all_in(run->phys, run->bytes, TYPES_OF_LOADER),
           RUN_TEXT, RUN_OF(run));
}

static void check_direct_rights(void) {
    tap_check(boot.is_strict ? "strict: HHDM and identity map are not executable but for what "
                               "waiting CPUs run, and read-only where the image is"
                             : "HHDM and identity map can be written and executed");
    for (uint64_t i = 0; i < paging.count; i++) {
        const struct run *run = &paging.runs[i];
        bool is_identity = run->virt == run->phys && run->virt < LOWER_HALF_END;
        if (!is_direct(run) && !is_identity)
            continue;
        if (boot.is_strict)
            expect_strict(run);
        else
            EXPECT((run->rights & (RUN_WRITE | RUN_EXECUTE)) == (RUN_WRITE | RUN_EXECUTE), RUN_TEXT,
                   RUN_OF(run));
    }
}

void check_direct_map(void) {
    tap_check("the HHDM's offset is in the upper half and a multiple of a page");
    EXPECT(boot.hhdm >= LOWER_HALF_END && boot.hhdm % PAGE_BYTES == 0, "%lx", boot.hhdm);
    tap_note("HHDM at %lx", boot.hhdm);
    check_coverage();
    check_nothing_else();
    check_cache();
    check_direct_rights();
}

// Accesses

static uint64_t direct_of(const volatile void *pointer) {
    const struct run *run = paging_find((uint64_t)pointer);
    return boot.hhdm + run->phys + ((uint64_t)pointer - run->virt);
}

static void check_image_accesses(void) {
    tap_check("the CPU holds segments to their rights");
    EXPECT(probe_call((uint64_t)return_code) == variant.is_rwx, "call of read-only data at %lx",
           (uint64_t)return_code);
    EXPECT(probe_call((uint64_t)&in_data) == variant.is_rwx, "call of data at %lx",
           (uint64_t)&in_data);
    EXPECT(probe_write((uint64_t)return_code) == variant.is_rwx, "write to read-only data at %lx",
           (uint64_t)return_code);
    EXPECT(probe_write((uint64_t)&check_rights) == variant.is_rwx, "write to code at %lx",
           (uint64_t)&check_rights);
    EXPECT(probe_write((uint64_t)&in_data), "write to data at %lx", (uint64_t)&in_data);
}

void check_rights(void) {
    check_image_accesses();
    tap_check(boot.is_strict
                  ? "strict: the image's code and read-only data cannot be written by the HHDM"
                  : "the image's code and read-only data can be written by the HHDM");
    bool writable = !boot.is_strict || variant.is_rwx;
    EXPECT(probe_write(direct_of((const void *)(uint64_t)check_rights)) == writable, "code at %lx",
           (uint64_t)check_rights);
    EXPECT(probe_write(direct_of(return_code)) == writable, "read-only data at %lx",
           (uint64_t)return_code);
    EXPECT(probe_write(direct_of(&in_data)), "data at %lx", (uint64_t)&in_data);

    tap_check(boot.is_strict ? "strict: code in usable memory cannot be called by the HHDM"
                             : "code in usable memory can be called by the HHDM");
    for (uint64_t i = 0; i < memory_count(); i++) {
        if (memory_entry(i)->type != LIMINE_MEMORY_USABLE)
            continue;
        volatile uint8_t *code = direct(memory_entry(i)->base);
        uint8_t kept = *code;
        *code = return_code[0];
        EXPECT(probe_call((uint64_t)code) != boot.is_strict, "%lx", memory_entry(i)->base);
        *code = kept;
    }

    tap_check("the null pointer leads nowhere");
    if (boot.revision == 0)
        tap_skip_choice("the identity map may begin at 0");
    else
        EXPECT(!probe_read(0), "%lx can be read", (uint64_t)0);
}
