// Programs that run as processes: what is read of a good file, each way in which a file can be bad,
// and every file cut short.
#include "kernel/process/program.h"

#include "tests/unit/support/test.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT, DATA, NOTE, HEADERS, FILE_BYTES = 0x2800 };

// ELF64's file header and program headers, by their places in the file.
enum {
    E_CLASS = 4,
    E_DATA = 5,
    E_TYPE = 16,
    E_MACHINE = 18,
    E_VERSION = 20,
    E_ENTRY = 24,
    E_PHOFF = 32,
    E_EHSIZE = 52,
    E_PHENTSIZE = 54,
    E_PHNUM = 56,
    PH = 64,
    PH_BYTES = 56,
    P_TYPE = 0,
    P_FLAGS = 4,
    P_OFFSET = 8,
    P_VADDR = 16,
    P_FILESZ = 32,
    P_MEMSZ = 40,
};

static uint8_t file[FILE_BYTES];

static void put(unsigned at, unsigned bytes, uint64_t value) {
    memcpy(&file[at], &value, bytes);
}

static void put_header(unsigned index, unsigned field, unsigned bytes, uint64_t value) {
    put(PH + index * PH_BYTES + field, bytes, value);
}

static void put_segment(unsigned index, unsigned flags, uint64_t offset, uint64_t address,
                        uint64_t file_bytes, uint64_t memory_bytes) {
    put_header(index, P_TYPE, 4, 1);
    put_header(index, P_FLAGS, 4, flags);
    put_header(index, P_OFFSET, 8, offset);
    put_header(index, P_VADDR, 8, address);
    put_header(index, P_FILESZ, 8, file_bytes);
    put_header(index, P_MEMSZ, 8, memory_bytes);
}

static void make_good(void) {
    memset(file, 0, sizeof(file));
    memcpy(file, "\177ELF\2\1\1", 7);
    put(E_TYPE, 2, 2);
    put(E_MACHINE, 2, 62);
    put(E_VERSION, 4, 1);
    put(E_ENTRY, 8, 0x400010);
    put(E_PHOFF, 8, PH);
    put(E_EHSIZE, 2, 64);
    put(E_PHENTSIZE, 2, PH_BYTES);
    put(E_PHNUM, 2, HEADERS);
    put_segment(TEXT, 5, 0x1000, 0x400000, 0x800, 0x800);
    put_segment(DATA, 6, 0x2010, 0x402010, 0x100, 0x3000);
    put_header(NOTE, P_TYPE, 4, 4);
}

static void assert_refused(enum program_status expected) {
    struct program program, before;
    memset(&program, 0xa5, sizeof(program));
    before = program;
    assert_string_equal(program_status_text(program_read(file, sizeof(file), &program)),
                        program_status_text(expected));
    assert_memory_equal(&program, &before, sizeof(program));
}

TEST("program: of a good file everything is read, in whole pages") {
    make_good();
    struct program program;
    assert_int_equal(program_read(file, sizeof(file), &program), PROGRAM_OK);
    assert_int_equal(program.entry, 0x400010);
    assert_int_equal(program.segment_count, 2);
    const struct program_segment expected[] = {
        {0x400000, 0x1000, 0x400000, 0x1000, 0x800, PROGRAM_EXECUTE},
        {0x402000, 0x4000, 0x402010, 0x2010, 0x100, PROGRAM_WRITE},
    };
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(program.segment[i].start, expected[i].start);
        assert_int_equal(program.segment[i].bytes, expected[i].bytes);
        assert_int_equal(program.segment[i].address, expected[i].address);
        assert_int_equal(program.segment[i].offset, expected[i].offset);
        assert_int_equal(program.segment[i].file_bytes, expected[i].file_bytes);
        assert_int_equal(program.segment[i].rights, expected[i].rights);
    }
}

static const struct bad {
    unsigned at, bytes;
    uint64_t value;
    enum program_status status;
} bad[] = {
    {0, 1, 'e', PROGRAM_ERR_NOT_ELF},
    {E_CLASS, 1, 1, PROGRAM_ERR_KIND},
    {E_DATA, 1, 2, PROGRAM_ERR_KIND},
    {6, 1, 0, PROGRAM_ERR_KIND},
    {E_TYPE, 2, 3, PROGRAM_ERR_KIND},
    {E_MACHINE, 2, 3, PROGRAM_ERR_KIND},
    {E_VERSION, 4, 2, PROGRAM_ERR_KIND},
    {E_EHSIZE, 2, 52, PROGRAM_ERR_KIND},
    {E_PHENTSIZE, 2, 32, PROGRAM_ERR_HEADERS},
    {E_PHNUM, 2, 0, PROGRAM_ERR_HEADERS},
    {E_PHNUM, 2, PROGRAM_HEADERS_MAX + 1, PROGRAM_ERR_HEADERS},
    {E_PHOFF, 8, FILE_BYTES - HEADERS *PH_BYTES + 1, PROGRAM_ERR_HEADERS},
    {E_PHOFF, 8, UINT64_MAX, PROGRAM_ERR_HEADERS},
    {E_ENTRY, 8, 0x3fffff, PROGRAM_ERR_ENTRY},
    {E_ENTRY, 8, 0x400800, PROGRAM_ERR_ENTRY},
    {E_ENTRY, 8, 0x402010, PROGRAM_ERR_ENTRY},
    {PH + P_FLAGS, 4, 7, PROGRAM_ERR_RIGHTS},
    {PH + P_FLAGS, 4, 1, PROGRAM_ERR_RIGHTS},
    {PH + P_OFFSET, 8, FILE_BYTES + 1, PROGRAM_ERR_FILE},
    {PH + P_OFFSET, 8, UINT64_MAX - 0xfff, PROGRAM_ERR_FILE},
    {PH + P_OFFSET, 8, 0x1001, PROGRAM_ERR_ADDRESS},
    {PH + P_FILESZ, 8, FILE_BYTES, PROGRAM_ERR_FILE},
    {PH + P_FILESZ, 8, 0x801, PROGRAM_ERR_FILE},
    {PH + P_MEMSZ, 8, 0x7ff, PROGRAM_ERR_FILE},
    {PH + P_MEMSZ, 8, 0, PROGRAM_ERR_FILE},
    {PH + P_MEMSZ, 8, UINT64_MAX, PROGRAM_ERR_ADDRESS},
    {PH + P_MEMSZ, 8, 0x2001, PROGRAM_ERR_ORDER},
    {PH + P_VADDR, 8, 0xf000, PROGRAM_ERR_ADDRESS},
    {PH + P_VADDR, 8, PROGRAM_MAX, PROGRAM_ERR_ADDRESS},
    {PH + P_VADDR, 8, UINT64_C(0xffffffff80000000), PROGRAM_ERR_ADDRESS},
    {PH + P_VADDR, 8, 0x406000, PROGRAM_ERR_ORDER},
    {PH + 2 * PH_BYTES + P_TYPE, 4, 2, PROGRAM_ERR_DYNAMIC},
    {PH + 2 * PH_BYTES + P_TYPE, 4, 3, PROGRAM_ERR_DYNAMIC},
    {PH + 2 * PH_BYTES + P_TYPE, 4, 7, PROGRAM_ERR_DYNAMIC},
    {PH + 2 * PH_BYTES + P_TYPE, 4, 0x6474e552, PROGRAM_ERR_HEADER_KIND},
};

TEST("program: each way of being bad is refused with its reason, and nothing is told") {
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        make_good();
        put(bad[i].at, bad[i].bytes, bad[i].value);
        assert_refused(bad[i].status);
    }
    make_good();
    put_header(NOTE, P_TYPE, 4, 0x6474e551);
    put_header(NOTE, P_FLAGS, 4, 7);
    assert_refused(PROGRAM_ERR_STACK);
    make_good();
    put_header(TEXT, P_TYPE, 4, 0);
    put_header(DATA, P_TYPE, 4, 0);
    assert_refused(PROGRAM_ERR_NOTHING);
}

TEST("program: what only linkers and debuggers want is passed over, and segments without a byte") {
    static const uint32_t types[] = {0, 4, 6, 0x6474e550, 0x6474e551, 0x6474e553};
    for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
        make_good();
        put_header(NOTE, P_TYPE, 4, types[i]);
        put_header(NOTE, P_FLAGS, 4, 6);
        struct program program;
        assert_int_equal(program_read(file, sizeof(file), &program), PROGRAM_OK);
    }
    make_good();
    put_segment(NOTE, 6, 0, 0, 0, 0);
    struct program program;
    assert_int_equal(program_read(file, sizeof(file), &program), PROGRAM_OK);
    assert_int_equal(program.segment_count, 2);
}

TEST("program: there are no more segments than there is room for") {
    make_good();
    put(E_PHNUM, 2, PROGRAM_SEGMENTS_MAX + 1);
    for (unsigned i = 0; i <= PROGRAM_SEGMENTS_MAX; i++)
        put_segment(i, i == 0 ? 5 : 4, 0x1000, 0x400000 + i * 0x1000, 0x800, 0x800);
    assert_refused(PROGRAM_ERR_MANY);
    put(E_PHNUM, 2, PROGRAM_SEGMENTS_MAX);
    struct program program;
    assert_int_equal(program_read(file, sizeof(file), &program), PROGRAM_OK);
    assert_int_equal(program.segment_count, PROGRAM_SEGMENTS_MAX);
}

// In memory of just that length, so that a read beyond its end is found.
TEST("program: a file that is cut anywhere is refused or says only what it has") {
    make_good();
    for (uint64_t bytes = 0; bytes < FILE_BYTES; bytes++) {
        uint8_t *cut = malloc(bytes + (bytes == 0));
        memcpy(cut, file, bytes);
        struct program program;
        enum program_status status = program_read(cut, bytes, &program);
        assert_true((status == PROGRAM_OK) == (bytes >= 0x2110));
        free(cut);
    }
}
