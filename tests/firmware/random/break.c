// Kernels that are wrong: each must be refused, but for those that are scrambled, which must only
// do no harm.
#include "tests/firmware/random/kernel.h"

#include <string.h>

static struct kernel_layout *const layout = &kernel_layout;

// Writes a number of `bytes` bytes into the kernel's file.
static void poke(uint64_t offset, uint64_t value, uint64_t bytes) {
    memcpy(boot_kernel_file + offset, &value, bytes);
}

#define POKE_HEADER(field, value)                                                                  \
    poke(__builtin_offsetof(struct elf64_header, field), (value),                                  \
         sizeof(((struct elf64_header *)0)->field))

static const char *break_header(struct boot *boot) {
    switch (boot_below(boot, 10)) {
    case 0:
        poke(boot_below(boot, 4), 0xee, 1);
        return "magic";
    case 1:
        poke(ELF_IDENT_CLASS + boot_below(boot, 3), 7, 1);
        return "class, encoding or version";
    case 2:
        POKE_HEADER(type, 4);
        return "type";
    case 3:
        POKE_HEADER(machine, 3);
        return "machine";
    case 4:
        POKE_HEADER(version, 2);
        return "version";
    case 5:
        POKE_HEADER(header_bytes, 63);
        return "size of the header";
    case 6:
        POKE_HEADER(phdr_bytes, 57);
        return "size of a program header";
    case 7:
        POKE_HEADER(phdr_count, boot_chance(boot, 50) ? 0 : ELF_PN_XNUM);
        return "number of program headers";
    case 8:
        POKE_HEADER(phdrs_offset, boot->kernel.file_bytes - boot_below(boot, 56));
        return "place of the program headers";
    default:
        POKE_HEADER(entry, 8);
        return layout->segments[0].virt > 8 ? "entry" : NULL;
    }
}

// A program header of this type and with memory; null if there is none.
static struct elf64_phdr *random_phdr(struct boot *boot, uint32_t type) {
    uint64_t first = boot_below(boot, layout->phdr_count);
    for (uint64_t i = 0; i < layout->phdr_count; i++) {
        struct elf64_phdr *phdr = &layout->phdrs[(first + i) % layout->phdr_count];
        if (phdr->type == type && phdr->mem_bytes != 0)
            return phdr;
    }
    return NULL;
}

static const char *break_phdr(struct boot *boot, struct elf64_phdr *phdr,
                              const struct elf64_phdr *other) {
    bool is_shared = phdr != other && phdr->flags != other->flags &&
                     other->virt % FRAME_BYTES + other->mem_bytes < FRAME_BYTES;
    switch (boot_below(boot, 10)) {
    case 0:
        phdr->flags = ELF_PF_W | ELF_PF_X;
        return "writable and executable";
    case 1:
        phdr->file_bytes = phdr->mem_bytes + 1;
        return "more in the file than in memory";
    case 2:
        phdr->align = UINT64_C(3) << boot_below(boot, 10);
        return "alignment 3 << n";
    case 3:
        phdr->align = GIB(2);
        return "alignment 2 GiB";
    case 4:
        phdr->align = 4096;
        phdr->offset = align_down(phdr->offset, 4096) + (phdr->virt + 1) % 4096;
        return "not congruent";
    case 5:
        phdr->file_bytes = max_u64(phdr->file_bytes, 1);
        phdr->align = 1;
        phdr->offset = boot->kernel.file_bytes - boot_below(boot, phdr->file_bytes);
        return "outside the file";
    case 6:
        phdr->align = 1;
        phdr->virt = UINT64_MAX - boot_below(boot, phdr->mem_bytes);
        return "wraps";
    case 7:
        phdr->align = 1;
        phdr->virt = SLIPWAY_KERNEL_MAX - phdr->mem_bytes + 1;
        return layout->segments[0].virt >= SLIPWAY_KERNEL_MIN ? "above the window" : NULL;
    case 8:
        if (phdr == other)
            return NULL;
        phdr->align = 1;
        phdr->virt = other->virt + boot_below(boot, other->mem_bytes);
        return "overlaps";
    default:
        phdr->align = 1;
        phdr->virt = align_down(other->virt, FRAME_BYTES) + FRAME_BYTES - 1;
        phdr->mem_bytes = 1;
        phdr->file_bytes = 0;
        return is_shared ? "shares a page" : NULL;
    }
}

static const char *break_segment(struct boot *boot) {
    struct elf64_phdr *phdr = random_phdr(boot, ELF_PT_LOAD);
    const char *what = break_phdr(boot, phdr, random_phdr(boot, ELF_PT_LOAD));
    kernel_write_headers();
    return what;
}

// Whether a writable segment holds the byte at `virt`.
static bool is_writable(uint64_t virt) {
    for (uint64_t i = 0; i < layout->phdr_count; i++) {
        const struct elf64_phdr *phdr = &layout->phdrs[i];
        if (phdr->type == ELF_PT_LOAD && (phdr->flags & ELF_PF_W) != 0 && virt >= phdr->virt &&
            virt - phdr->virt < phdr->mem_bytes)
            return true;
    }
    return false;
}

static const char *break_special(struct boot *boot) {
    struct elf64_phdr phdr = {.type = ELF_PT_TLS, .mem_bytes = 1, .align = 3};
    const char *what = "alignment of thread-local data";
    switch (boot_below(boot, 4)) {
    case 0:
        break;
    case 1:
        phdr.type = ELF_PT_DYNAMIC;
        phdr.virt = 1;
        what = "dynamic section in no segment";
        if (layout->segments[0].virt <= 1)
            return NULL;
        break;
    case 2:
        if (layout->relro.type == 0)
            return NULL;
        phdr = layout->relro;
        what = "two RELROs";
        break;
    default:
        phdr = (struct elf64_phdr){.type = ELF_PT_GNU_RELRO,
                                   .virt = random_phdr(boot, ELF_PT_LOAD)->virt - 1,
                                   .mem_bytes = MIB(64)};
        what = "RELRO too long";
        if (is_writable(phdr.virt)) // the end of the segment before: a RELRO as lld makes them
            return NULL;
        break;
    }
    kernel_add_phdr(phdr);
    return what;
}

static const char *break_relocations(struct boot *boot) {
    if (layout->rela_count == 0)
        return NULL;
    uint64_t at = layout->table_file + boot_below(boot, layout->rela_count) * 24;
    uint64_t read_only = 0;
    for (uint32_t i = 0; i < layout->segment_count; i++) {
        const struct elf64_phdr *segment = &layout->segments[i];
        if (segment->flags != ELF_PF_W && segment->mem_bytes >= 8)
            read_only = segment->virt;
    }
    poke(at + 8, ELF_R_X86_64_RELATIVE, 4);
    switch (boot_below(boot, 7)) {
    case 0:
        poke(at + 8, ELF_R_X86_64_COPY, 4);
        return "type of relocation";
    case 1:
        poke(at, layout->segments[0].virt - 1, 8);
        return "target in no segment";
    case 2:
        poke(at, read_only, 8);
        return read_only != 0 ? "target that is read-only" : NULL;
    case 3:
        poke(at, layout->table_link + layout->rela_count * 24 - 1, 8);
        return "target in the table, in part";
    case 4:
        poke(layout->dynamic_file, ELF_DT_NEEDED, 8);
        return "shared library";
    case 5:
        poke(layout->dynamic_file, ELF_DT_TEXTREL, 8);
        return "text relocations";
    default:
        poke(layout->dynamic_file, ELF_DT_REL, 8);
        return "other relocations";
    }
}

static const char *break_note(struct boot *boot) {
    if (layout->notes_bytes == 0)
        return NULL;
    uint64_t wishes = layout->wishes_file + 20;
    switch (boot_below(boot, 9)) {
    case 0:
        poke(wishes, 2, 4);
        return "version of the protocol";
    case 1:
        poke(wishes + 4, 2 * SLIPWAY_NOTE_KASLR, 4);
        return "flag";
    case 2:
        poke(wishes - 16, UINT32_MAX - boot_below(boot, 8), 4);
        return "note too long";
    case 3:
        poke(wishes - 16, 3, 4);
        return "note too short";
    default:
        break;
    }
    poke(wishes - 16, sizeof(struct slipway_note_wishes), 4);
    if (wishes + sizeof(struct slipway_note_wishes) > layout->notes_file + layout->notes_bytes)
        return "note that runs out";
    switch (boot_below(boot, 5)) {
    case 0:
        poke(wishes + 8, FRAME_BYTES - 1, 8);
        return "stack of 4095 bytes";
    case 1:
        poke(wishes + 8, MIB(16) + FRAME_BYTES, 8);
        return "stack too large";
    case 2:
        poke(wishes + 16, SLIPWAY_HHDM_BASE + MIB(2), 8);
        return "odd base of the direct map";
    case 3:
        poke(wishes + 24, UINT64_C(1) << 50, 8);
        return "more RAM than there is";
    default:
        poke(wishes + 32, fake.has_la57 ? 6 : 5, 4);
        return "paging levels that the CPU has not";
    }
}

static const char *cut_file(struct boot *boot) {
    uint64_t needed = 64;
    for (uint32_t i = 0; i < layout->phdr_count; i++) {
        const struct elf64_phdr *phdr = &layout->phdrs[i];
        if (phdr->file_bytes != 0)
            needed = max_u64(needed, phdr->offset + phdr->file_bytes);
    }
    for (uint32_t i = 0; i < fake.file_count; i++) {
        if (fake.files[i].contents == boot_kernel_file)
            fake.files[i].bytes = boot->kernel.file_bytes = boot_below(boot, needed);
    }
    return "cut off";
}

static const char *scramble(struct boot *boot) {
    uint64_t end = 64 + layout->phdr_count * sizeof(struct elf64_phdr);
    const uint64_t starts[] = {
        0, 0, 0, layout->dynamic_file, layout->table_file, layout->notes_file};
    for (uint64_t left = 1 + boot_below(boot, 6); left != 0; left--) {
        uint64_t start = starts[boot_below(boot, ARRAY_LEN(starts))];
        uint64_t at = start + boot_below(boot, start == 0 ? end : 64);
        boot_kernel_file[at] ^= (uint8_t)(1 << boot_below(boot, 8));
    }
    boot->kernel.is_scrambled = true;
    return "scrambled";
}

static const char *(*const ways[])(struct boot *) = {
    break_header, break_segment, break_segment, break_special, break_relocations,
    break_note,   cut_file,      scramble,      scramble,
};

// A wish of the note that changes nothing counts for nothing: another way is tried.
void boot_break_kernel(struct boot *boot) {
    if (boot->has_broken_kernel)
        return;
    boot->has_broken_kernel = true;
    const char *what = ways[boot_below(boot, ARRAY_LEN(ways))](boot);
    boot->must_fail |= what != NULL && !boot->kernel.is_scrambled;
    boot->kernel.is_scrambled = true;
    boot->may_fail = true;
    boot_tell(boot, "WRONG kernel: %s; ", what == NULL ? "something" : what);
}
