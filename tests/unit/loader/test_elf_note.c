// The kernel's wishes: found wherever they stand among notes, checked, refused in words.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

// Notes in a heap block of exactly their size, so that ASan sees every byte read too many.
struct notes {
    uint8_t *bytes;
    uint64_t size;
};

static struct notes notes_copy(const void *bytes, uint64_t size) {
    struct notes notes = {calloc(1, size == 0 ? 1 : size), size};
    memcpy(notes.bytes, bytes, size);
    return notes;
}

static void append(struct notes *notes, const void *bytes, uint64_t size) {
    notes->bytes = realloc(notes->bytes, notes->size + size);
    memcpy(notes->bytes + notes->size, bytes, size);
    notes->size += size;
}

static struct slipway_note good_note(void) {
    return (struct slipway_note){
        .name_bytes = 8,
        .wishes_bytes = sizeof(struct slipway_note_wishes),
        .type = SLIPWAY_NOTE_TYPE,
        .name = "Slipway",
        .wishes = {.version = SLIPWAY_BOOT_VERSION,
                   .flags = SLIPWAY_NOTE_FRAMEBUFFER,
                   .stack_bytes = 0x8000,
                   .hhdm_base = SLIPWAY_HHDM_BASE,
                   .ram_floor_bytes = 1234,
                   .paging_levels = 4},
    };
}

static enum elf_status parse(struct notes notes, struct slipway_note_wishes *wishes, bool *found,
                             struct elf_error *error) {
    enum elf_status status = elf_parse_note(notes.bytes, notes.size, wishes, found, error);
    free(notes.bytes);
    return status;
}

static struct slipway_note_wishes accept(struct notes notes) {
    struct slipway_note_wishes wishes;
    struct elf_error error;
    bool found = false;
    memset(&wishes, 0xa5, sizeof(wishes));
    assert_int_equal(parse(notes, &wishes, &found, &error), ELF_OK);
    assert_true(found);
    return wishes;
}

// Also asserts that the results are untouched.
static void refuse(struct notes notes, enum elf_status want, const char *text) {
    struct slipway_note_wishes wishes = {.version = 42}, before = wishes;
    struct elf_error error = {0};
    bool found = false;
    assert_int_equal(parse(notes, &wishes, &found, &error), want);
    elf_file_expect_text(&error, text);
    assert_memory_equal(&wishes, &before, sizeof(wishes));
    assert_false(found);
}

static void refuse_note(const struct slipway_note *note, enum elf_status want, const char *text) {
    refuse(notes_copy(note, sizeof(*note)), want, text);
}

static void expect_good(const struct slipway_note_wishes *wishes) {
    struct slipway_note good = good_note();
    assert_memory_equal(wishes, &good.wishes, sizeof(*wishes));
}

// A build ID: name of 4 bytes, descriptor of 20, both multiples of 4 only.
static const uint32_t build_id[9] = {4, 20, 3, 0x00554e47, 1, 2, 3, 4, 5};
// A GNU property: name of 4 bytes, descriptor of 16, for segments aligned to 8.
static const uint32_t property[8] = {4, 16, 5, 0x00554e47, 0xc0000002, 4, 3, 0};

TEST("elf note: a kernel's wishes are found alone, first, last and in the middle") {
    struct slipway_note note = good_note();
    for (int before = 0; before < 2; before++) {
        for (int after = 0; after < 2; after++) {
            struct notes notes = notes_copy(build_id, before ? sizeof(build_id) : 0);
            append(&notes, &note, sizeof(note));
            append(&notes, build_id, after ? sizeof(build_id) : 0);
            struct slipway_note_wishes wishes = accept(notes);
            expect_good(&wishes);
        }
    }
}

TEST("elf note: among notes padded to 4 and to 8 bytes the wishes are found in any order") {
    struct slipway_note note = good_note();
    const struct {
        const void *bytes;
        uint64_t size;
    } others[] = {{build_id, sizeof(build_id)}, {property, sizeof(property)}, {"\0\0\0", 4}};
    for (int order = 0; order < 27; order++) {
        struct notes notes = notes_copy("", 0);
        for (int i = 0, left = order; i < 3; i++, left /= 3)
            append(&notes, others[left % 3].bytes, others[left % 3].size);
        append(&notes, &note, sizeof(note));
        append(&notes, others[order % 3].bytes, others[order % 3].size);
        struct slipway_note_wishes wishes = accept(notes);
        expect_good(&wishes);
    }
}

TEST("elf note: what the notes of others say of their sizes does not matter") {
    struct slipway_note note = good_note();
    const uint32_t sizes[] = {0, 1, 3, 5, 20, 1000, 0x7fffffff, 0xfffffff0, UINT32_MAX};
    for (uint64_t i = 0; i < ARRAY_LEN(sizes) * ARRAY_LEN(sizes); i++) {
        uint32_t other[9];
        memcpy(other, build_id, sizeof(other));
        other[0] = sizes[i / ARRAY_LEN(sizes)];
        other[1] = sizes[i % ARRAY_LEN(sizes)];
        struct notes notes = notes_copy(other, sizeof(other));
        append(&notes, &note, sizeof(note));
        append(&notes, other, sizeof(other));
        struct slipway_note_wishes wishes = accept(notes);
        expect_good(&wishes);
    }
}

TEST("elf note: ours is found behind a note of any size, at every multiple of 4 and nowhere else") {
    struct slipway_note note = good_note();
    for (uint64_t before = 0; before < 9000; before += before < 40 ? 1 : 1111) {
        struct notes notes = notes_copy("", 0);
        for (uint64_t i = 0; i < before; i++)
            append(&notes, "\x08", 1);
        append(&notes, &note, sizeof(note));
        struct slipway_note_wishes wishes;
        struct elf_error error;
        bool found = false;
        assert_int_equal(parse(notes, &wishes, &found, &error), ELF_OK);
        assert_int_equal(found, before % 4 == 0);
        if (found)
            expect_good(&wishes);
    }
}

TEST("elf note: without a Slipway note nothing is found and nothing is touched") {
    struct slipway_note_wishes wishes = {.version = 42};
    struct elf_error error;
    bool found = false;
    assert_int_equal(parse(notes_copy("", 0), &wishes, &found, &error), ELF_OK);
    assert_int_equal(parse(notes_copy(build_id, sizeof(build_id)), &wishes, &found, &error),
                     ELF_OK);
    struct slipway_note note = good_note();
    note.type = 2; // ours in name only
    assert_int_equal(parse(notes_copy(&note, sizeof(note)), &wishes, &found, &error), ELF_OK);
    note = good_note();
    for (uint64_t i = 0; i < sizeof(note.name); i++) {
        note = good_note();
        note.name[i] ^= 0x20;
        assert_int_equal(parse(notes_copy(&note, sizeof(note)), &wishes, &found, &error), ELF_OK);
    }
    note = good_note();
    note.name_bytes = 7;
    assert_int_equal(parse(notes_copy(&note, sizeof(note)), &wishes, &found, &error), ELF_OK);
    assert_false(found);
    assert_int_equal(wishes.version, 42);
}

TEST("elf note: a shorter note leaves the fields that it does not have at 0") {
    struct slipway_note note = good_note();
    note.wishes_bytes = 16; // up to and with stack_bytes
    struct slipway_note_wishes wishes = accept(notes_copy(&note, 20 + 16));
    struct slipway_note_wishes want = {
        .version = SLIPWAY_BOOT_VERSION, .flags = SLIPWAY_NOTE_FRAMEBUFFER, .stack_bytes = 0x8000};
    assert_memory_equal(&wishes, &want, sizeof(want));
    note.wishes_bytes = 4;
    wishes = accept(notes_copy(&note, 20 + 4));
    assert_int_equal(wishes.version, SLIPWAY_BOOT_VERSION);
    assert_int_equal(wishes.flags, 0);
}

TEST("elf note: every flag that the header names is known, alone and with others") {
    static const uint32_t flags[] = {SLIPWAY_NOTE_FRAMEBUFFER, SLIPWAY_NOTE_KEEP_SCREEN,
                                     SLIPWAY_NOTE_FRAMEBUFFER | SLIPWAY_NOTE_KEEP_SCREEN};
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct slipway_note note = good_note();
        note.wishes.flags = flags[i];
        assert_int_equal(accept(notes_copy(&note, sizeof(note))).flags, flags[i]);
    }
}

TEST("elf note: a note without a whole version is refused") {
    struct slipway_note note = good_note();
    for (uint32_t bytes = 0; bytes < 4; bytes++) {
        note.wishes_bytes = bytes;
        char text[80];
        struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
        struct sink sink = fmt_buffer_sink(&buffer);
        fmt_print(&sink, "the Slipway note holds %u bytes, too few for its version", bytes);
        refuse(notes_copy(&note, 20 + bytes), ELF_ERR_NOTE_SHORT, text);
    }
}

TEST("elf note: a longer note is accepted if what is unknown in it is 0") {
    struct slipway_note note = good_note();
    note.wishes_bytes = 48;
    struct notes notes = notes_copy(&note, sizeof(note));
    append(&notes, "\0\0\0\0\0\0\0", 8);
    struct slipway_note_wishes wishes = accept(notes);
    expect_good(&wishes);

    notes = notes_copy(&note, sizeof(note));
    append(&notes, "\0\0\0\0\0\1\0", 8);
    refuse(notes, ELF_ERR_NOTE_UNKNOWN,
           "the Slipway note asks at byte 45 for something that this loader does not know");
    note = good_note();
    note.wishes.reserved = 1;
    refuse_note(&note, ELF_ERR_NOTE_UNKNOWN,
                "the Slipway note asks at byte 36 for something that this loader does not know");
}

TEST("elf note: another protocol version and unknown flags are refused") {
    struct slipway_note note = good_note();
    note.wishes.version = 2;
    refuse_note(&note, ELF_ERR_NOTE_VERSION,
                "built for version 2 of the boot protocol; this loader speaks 1");
    note.wishes.version = 0;
    refuse_note(&note, ELF_ERR_NOTE_VERSION,
                "built for version 0 of the boot protocol; this loader speaks 1");
    note = good_note();
    note.wishes.flags = 0x80000001;
    refuse_note(&note, ELF_ERR_NOTE_FLAGS, "the Slipway note has unknown flags (0x80000001)");
    note.wishes.flags = 0xff; // all that are known, and the next
    refuse_note(&note, ELF_ERR_NOTE_FLAGS, "the Slipway note has unknown flags (0xff)");
}

TEST("elf note: flags that are known are wishes, alone and together") {
    for (uint32_t flags = 0; flags < 2 * SLIPWAY_NOTE_KASLR; flags++) {
        struct slipway_note note = good_note();
        note.wishes.flags = flags;
        assert_int_equal(accept(notes_copy(&note, sizeof(note))).flags, flags);
    }
}

TEST("elf note: the stack is a multiple of 4 KiB, from 4 KiB to 16 MiB, or no wish") {
    struct slipway_note note = good_note();
    const uint64_t good[] = {0, 4096, 8192, 16 << 20};
    for (int i = 0; i < 4; i++) {
        note.wishes.stack_bytes = good[i];
        assert_int_equal(accept(notes_copy(&note, sizeof(note))).stack_bytes, good[i]);
    }
    note.wishes.stack_bytes = 4095;
    refuse_note(
        &note, ELF_ERR_NOTE_STACK,
        "the Slipway note asks for a stack of 4095 bytes, not a multiple of 4 KiB up to 16 MiB");
    note.wishes.stack_bytes = 8200;
    refuse_note(
        &note, ELF_ERR_NOTE_STACK,
        "the Slipway note asks for a stack of 8200 bytes, not a multiple of 4 KiB up to 16 MiB");
    note.wishes.stack_bytes = (16 << 20) + 4096;
    refuse_note(
        &note, ELF_ERR_NOTE_STACK,
        "the Slipway note asks for a stack of 16781312 bytes, not a multiple of 4 KiB up to 16 MiB");
}

TEST("elf note: the direct map must start in the upper half, below the other windows") {
    struct slipway_note note = good_note();
    note.wishes.hhdm_base = SLIPWAY_HHDM_BASE - (UINT64_C(1) << 39); // not canonical with 4 levels
    refuse_note(
        &note, ELF_ERR_NOTE_HHDM,
        "the Slipway note asks for a direct map at 0xffff7f8000000000, not a multiple of 512 GiB from 0xffff800000000000 to 0xffffbf8000000000");
    note.wishes.paging_levels = 5;
    assert_int_equal(accept(notes_copy(&note, sizeof(note))).hhdm_base, 0xffff7f8000000000);
    note.wishes.hhdm_base = 0xff00000000000000;
    assert_int_equal(accept(notes_copy(&note, sizeof(note))).hhdm_base, 0xff00000000000000);
    note.wishes.hhdm_base += 4096;
    refuse_note(
        &note, ELF_ERR_NOTE_HHDM,
        "the Slipway note asks for a direct map at 0xff00000000001000, not a multiple of 512 GiB from 0xff00000000000000 to 0xffffbf8000000000");
    note.wishes.hhdm_base = 0xfeffff8000000000;
    refuse_note(
        &note, ELF_ERR_NOTE_HHDM,
        "the Slipway note asks for a direct map at 0xfeffff8000000000, not a multiple of 512 GiB from 0xff00000000000000 to 0xffffbf8000000000");
    note.wishes.hhdm_base = SLIPWAY_WINDOW_BASE - (UINT64_C(1) << 39);
    assert_int_equal(accept(notes_copy(&note, sizeof(note))).hhdm_base, 0xffffbf8000000000);
    note.wishes.hhdm_base = SLIPWAY_WINDOW_BASE;
    refuse_note(
        &note, ELF_ERR_NOTE_HHDM,
        "the Slipway note asks for a direct map at 0xffffc00000000000, not a multiple of 512 GiB from 0xff00000000000000 to 0xffffbf8000000000");
}

TEST("elf note: paging levels are 4, 5 or no wish") {
    struct slipway_note note = good_note();
    for (uint32_t levels = 0; levels < 8; levels++) {
        note.wishes.paging_levels = levels;
        if (levels == 0 || levels == 4 || levels == 5)
            assert_int_equal(accept(notes_copy(&note, sizeof(note))).paging_levels, levels);
    }
    note.wishes.paging_levels = 3;
    refuse_note(&note, ELF_ERR_NOTE_LEVELS,
                "the Slipway note asks for 3 paging levels, neither 4 nor 5");
    note.wishes.paging_levels = 6;
    refuse_note(&note, ELF_ERR_NOTE_LEVELS,
                "the Slipway note asks for 6 paging levels, neither 4 nor 5");
}

TEST("elf note: a second Slipway note is refused, in one segment or in two") {
    struct slipway_note note = good_note();
    struct notes notes = notes_copy(&note, sizeof(note));
    append(&notes, &note, sizeof(note));
    refuse(notes, ELF_ERR_NOTE_TWICE,
           "a second Slipway note (at byte 60 of its 120 bytes of notes)");

    struct slipway_note_wishes wishes;
    struct elf_error error = {0};
    bool found = true; // by an earlier segment
    assert_int_equal(parse(notes_copy(&note, sizeof(note)), &wishes, &found, &error),
                     ELF_ERR_NOTE_TWICE);
    elf_file_expect_text(&error, "a second Slipway note (at byte 0 of its 60 bytes of notes)");
}

TEST("elf note: ours, cut at any byte, is refused or no note, and never read past its end") {
    struct slipway_note note = good_note();
    for (uint64_t bytes = 0; bytes < sizeof(note); bytes++) {
        struct slipway_note_wishes wishes;
        struct elf_error error = {0};
        bool found = false;
        enum elf_status status = parse(notes_copy(&note, bytes), &wishes, &found, &error);
        assert_int_equal(status, bytes < 20 ? ELF_OK : ELF_ERR_NOTE_TRUNCATED);
        assert_false(found);
    }
    struct notes notes = notes_copy(build_id, sizeof(build_id));
    append(&notes, &note, 59);
    refuse(notes, ELF_ERR_NOTE_TRUNCATED,
           "the Slipway note, 60 bytes at byte 36, runs past the end of its 95 bytes of notes");
    note.wishes_bytes = UINT32_MAX;
    refuse_note(
        &note, ELF_ERR_NOTE_TRUNCATED,
        "the Slipway note, 4294967315 bytes at byte 0, runs past the end of its 60 bytes of notes");
}
