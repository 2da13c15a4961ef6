// What a kernel asks for by the Limine protocol: which of its requests count, what they say, and
// which kernels are refused, in which words.
#include "loader/protocol/limine_requests.h"

#include "common/base/arith.h"
#include "common/base/fmt.h"
#include "tests/unit/support/elf_file.h"
#include "tests/unit/support/elf_parts.h"
#include "tests/unit/support/test.h"

#include <stdio.h>
#include <string.h>

// Offsets in the file; see virt_of.
enum {
    TEXT_AT = 0x1000,   // 0x800 bytes
    RODATA_AT = 0x2000, // 0x400 bytes
    DATA_AT = 0x3000,   // 0x1800 bytes of file, 0x3000 of memory
    DATA_END = 0x4800,
    IMAGE_END = 0x6000,
};

#define IMAGE_START ELF_FILE_BASE

static uint64_t virt_of(uint64_t at) {
    return ELF_FILE_BASE + at - TEXT_AT;
}

// Words from `at` on. Returns what follows them.
static uint64_t put(struct elf_file *file, uint64_t at, const uint64_t *words, uint64_t count) {
    memcpy((uint8_t *)file + at, words, count * sizeof(*words));
    return at + count * sizeof(*words);
}

#define PUT(file, at, ...)                                                                         \
    put(file, at, (const uint64_t[]){__VA_ARGS__},                                                 \
        sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static uint64_t put_tag(struct elf_file *file, uint64_t at, uint64_t revision) {
    return PUT(file, at, LIMINE_TAG_0, LIMINE_TAG_1, revision);
}

static uint64_t put_start(struct elf_file *file, uint64_t at) {
    return PUT(file, at, LIMINE_START_0, LIMINE_START_1, LIMINE_START_2, LIMINE_START_3);
}

static uint64_t put_end(struct elf_file *file, uint64_t at) {
    return PUT(file, at, LIMINE_END_0, LIMINE_END_1);
}

static uint64_t put_request(struct elf_file *file, uint64_t at, enum limine_request_kind kind,
                            uint64_t revision) {
#define IDS(name, word2, word3) [LIMINE_##name] = {word2, word3},
    static const uint64_t ids[LIMINE_REQUEST_KINDS][2] = {LIMINE_REQUESTS(IDS)};
#undef IDS
    return PUT(file, at, LIMINE_MAGIC_0, LIMINE_MAGIC_1, ids[kind][0], ids[kind][1], revision, 0);
}

static uint64_t put_unknown(struct elf_file *file, uint64_t at) {
    return PUT(file, at, LIMINE_MAGIC_0, LIMINE_MAGIC_1, 1, 2, 0, 0);
}

static const struct limine_section no_section = {0, 0};

// The requests of a kernel that is not refused. Its image stays until elf_parts_end.
static struct limine_requests find_in(struct elf_parts *parts, const struct elf_file *file,
                                      const struct limine_section *section) {
    struct limine_requests requests;
    struct limine_error error = {.status = LIMINE_OK, .a = 42};
    elf_parts_begin(parts, file, 0);
    enum limine_status status =
        limine_find_requests(&parts->image, &parts->memory, section, &requests, &error);
    assert_int_equal(status, LIMINE_OK);
    assert_int_equal(error.a, 42);
    return requests;
}

static struct limine_requests find_with(const struct elf_file *file,
                                        const struct limine_section *section) {
    struct elf_parts parts;
    struct limine_requests requests = find_in(&parts, file, section);
    elf_parts_end(&parts);
    return requests;
}

static struct limine_requests find(const struct elf_file *file) {
    return find_with(file, &no_section);
}

static void expect_words(const struct limine_error *error, const char *want) {
    char text[256];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    limine_error_print(&sink, error);
    assert_string_equal(text, want);
}

// In these words; no requests come of it.
static void refuse_with(const struct elf_file *file, const struct limine_section *section,
                        enum limine_status want, const char *text) {
    struct elf_parts parts;
    struct limine_requests requests, before;
    struct limine_error error;
    memset(&requests, 0x5a, sizeof(requests));
    memcpy(&before, &requests, sizeof(before));
    elf_parts_begin(&parts, file, 0);
    enum limine_status status =
        limine_find_requests(&parts.image, &parts.memory, section, &requests, &error);
    elf_parts_end(&parts);
    assert_int_equal(status, want);
    assert_int_equal(error.status, want);
    assert_memory_equal(&requests, &before, sizeof(requests));
    expect_words(&error, text);
}

static void refuse(const struct elf_file *file, enum limine_status want, const char *text) {
    refuse_with(file, &no_section, want, text);
}

// What holds for a kernel that asks for nothing.
static struct limine_requests nothing(void) {
    return (struct limine_requests){.stack_bytes = LIMINE_STACK_MIN_BYTES};
}

static void expect(struct limine_requests got, struct limine_requests want) {
    for (int i = 0; i < LIMINE_REQUEST_KINDS; i++) {
        assert_int_equal(got.found[i].virt, want.found[i].virt);
        assert_int_equal(got.found[i].revision, want.found[i].revision);
    }
    assert_int_equal(got.tag, want.tag);
    assert_int_equal(got.asked, want.asked);
    assert_int_equal(got.base_revision, want.base_revision);
    assert_int_equal(got.is_list, want.is_list);
    assert_int_equal(got.unknown, want.unknown);
    assert_int_equal(got.unknown_virt, want.unknown_virt);
    assert_int_equal(got.stack_bytes, want.stack_bytes);
    assert_int_equal(got.entry, want.entry);
    assert_int_equal(got.paging_mode, want.paging_mode);
    assert_int_equal(got.paging_max, want.paging_max);
    assert_int_equal(got.paging_min, want.paging_min);
    assert_int_equal(got.mp_flags, want.mp_flags);
    assert_int_equal(got.internal_count, want.internal_count);
    assert_int_equal(got.internals, want.internals);
    assert_int_equal(got.entropy_count, want.entropy_count);
}

// ---- Whether there are any

// Where the first magic is; 0: nowhere.
static uint64_t first_magic(const struct elf_file *file, uint64_t piece_bytes) {
    struct elf_parts parts;
    uint64_t virt = 42;
    elf_parts_begin(&parts, file, piece_bytes);
    bool has = limine_has_requests(&parts.image, &parts.memory, &virt);
    elf_parts_end(&parts);
    assert_true(has || virt == 42);
    return has ? virt : 0;
}

TEST("limine requests: a kernel with a request, a start marker or a tag is one for Limine") {
    const uint64_t magics[][2] = {{LIMINE_MAGIC_0, LIMINE_MAGIC_1},
                                  {LIMINE_START_0, LIMINE_START_1},
                                  {LIMINE_TAG_0, LIMINE_TAG_1}};
    const uint64_t pieces[] = {0, 0x8, 0x10, 0x18, 0x1000};
    struct elf_file file = elf_file_make();
    put_end(&file, DATA_AT); // an end marker alone is none
    assert_int_equal(first_magic(&file, 0), 0);
    for (uint64_t i = 0; i < ARRAY_LEN(magics); i++) {
        for (uint64_t at = DATA_AT + 0x100; at < DATA_AT + 0x120; at++) {
            file = elf_file_make();
            put(&file, at, magics[i], 2);
            for (uint64_t j = 0; j < ARRAY_LEN(pieces); j++)
                assert_int_equal(first_magic(&file, pieces[j]), at % 8 == 0 ? virt_of(at) : 0);
        }
        for (uint64_t byte = 0; byte < 16; byte++) {
            file = elf_file_make();
            put(&file, RODATA_AT, magics[i], 2);
            ((uint8_t *)&file)[RODATA_AT + byte]++;
            assert_int_equal(first_magic(&file, 0), 0);
        }
    }
}

TEST("limine requests: a magic counts in the file's bytes of a segment, to the last one") {
    struct elf_file file = elf_file_make();
    put_tag(&file, DATA_END - 16, 0);
    assert_int_equal(first_magic(&file, 0), virt_of(DATA_END - 16));
    file = elf_file_make();
    put_tag(&file, DATA_END - 8, 0);
    assert_int_equal(first_magic(&file, 0), 0);
    file = elf_file_make();
    file.phdrs[ELF_FILE_DATA].file_bytes = file.phdrs[ELF_FILE_DATA].mem_bytes;
    PUT(&file, IMAGE_END - 8, LIMINE_TAG_0); // there is no memory behind it
    assert_int_equal(first_magic(&file, 0), 0);
    file = elf_file_make();
    put_tag(&file, RODATA_AT + 0x400, 0); // in no segment
    assert_int_equal(first_magic(&file, 0), 0);
    put_unknown(&file, TEXT_AT); // the very first bytes
    assert_int_equal(first_magic(&file, 0), virt_of(TEXT_AT));
}

TEST("limine requests: a segment that is not aligned has its magics at multiples of 8, too") {
    for (uint64_t shift = 1; shift < 8; shift++) {
        struct elf_file file = elf_file_make();
        struct elf64_phdr *data = &file.phdrs[ELF_FILE_DATA];
        data->virt += shift;
        data->offset += shift;
        data->align = 1;
        put_tag(&file, DATA_AT + 8, 1);
        assert_int_equal(first_magic(&file, 0), virt_of(DATA_AT + 8));
        assert_int_equal(find(&file).tag, virt_of(DATA_AT + 8));
        data->offset -= shift; // in the file aligned, in memory not
        assert_int_equal(first_magic(&file, 0), 0);
        assert_int_equal(find(&file).tag, 0);
    }
}

// ---- The search

TEST("limine requests: without any there is nothing, and base revision 0") {
    const struct elf_file file = elf_file_make();
    expect(find(&file), nothing());
}

TEST("limine requests: every request of the protocol is found, wherever it is") {
    for (uint64_t gap = 0; gap <= 8; gap += 8) {
        struct elf_file file = elf_file_make();
        struct limine_requests want = nothing();
        uint64_t at = DATA_AT;
        for (enum limine_request_kind kind = 0; kind < LIMINE_REQUEST_KINDS; kind++) {
            want.found[kind] = (struct limine_found){virt_of(at), kind == LIMINE_MODULE ? 0 : kind};
            at = put_request(&file, at, kind, want.found[kind].revision);
            uint64_t entry = kind == LIMINE_ENTRY_POINT ? virt_of(TEXT_AT + 0x20) : 0;
            at = PUT(&file, at, entry, 0, 0) + gap;
        }
        want.entry = virt_of(TEXT_AT + 0x20);
        expect(find(&file), want);
    }
}

TEST("limine requests: the ids are those of the protocol, in this order") {
    // name, word 2 and word 3, once more
    const struct {
        const char *name;
        uint64_t word2, word3;
    } published[] = {
        {"BOOTLOADER_INFO", 0xf55038d8e2a1202f, 0x279426fcf5f59740},
        {"EXECUTABLE_CMDLINE", 0x4b161536e598651e, 0xb390ad4a2f1f303a},
        {"FIRMWARE_TYPE", 0x8c2f75d90bef28a8, 0x7045a4688eac00c3},
        {"STACK_SIZE", 0x224ef0460a8e8926, 0xe1cb0fc25f46ea3d},
        {"HHDM", 0x48dcf1cb8ad2b852, 0x63984e959a98244b},
        {"FRAMEBUFFER", 0x9d5827dcd881dd75, 0xa3148604f6fab11b},
        {"PAGING_MODE", 0x95c1a0edab0944cb, 0xa4e5cb3842f7488a},
        {"MP", 0x95a67b819a1b857e, 0xa0b61b723b6a73e0},
        {"MEMMAP", 0x67cf3d9d378a806f, 0xe304acdfc50c3c62},
        {"ENTRY_POINT", 0x13d86c035a1cd3e1, 0x2b0caa89d8f3026a},
        {"EXECUTABLE_FILE", 0xad97e90e83f1ed67, 0x31eb5d1c5ff23b69},
        {"MODULE", 0x3e7e279702be32af, 0xca1c4f3bd1280cee},
        {"RSDP", 0xc5e77b6b397e7b43, 0x27637845accdcf3c},
        {"SMBIOS", 0x9e9046f11e095391, 0xaa4a520fefbde5ee},
        {"EFI_SYSTEM_TABLE", 0x5ceba5163eaaf6d6, 0x0a6981610cf65fcc},
        {"EFI_MEMMAP", 0x7df62a431d6872d5, 0xa4fcdfb3e57306c8},
        {"TPM_EVENT_LOG", 0x98e094fc7e76e979, 0xee8d8775c54e1d1f},
        {"DATE_AT_BOOT", 0x502746e184c088aa, 0xfbc5ec83e6327893},
        {"EXECUTABLE_ADDRESS", 0x71ba76863cc55f63, 0xb2644a48c516a487},
        {"DTB", 0xb40ddb48fb54bac7, 0x545081493f81ffb7},
        {"BOOTLOADER_PERFORMANCE", 0x6b50ad9bf36d13ad, 0xdc4c7e88fc759e17},
        {"KEEP_IOMMU", 0x8ebaabe51f490179, 0x2aa86a59ffb4ab0f},
        {"TSC_FREQUENCY", 0x10f2ee1d87d195e4, 0xf747a2b78f6ddb31},
        {"ENTROPY", 0x65ea80255d5682c5, 0x9117240723f493eb},
        {"FLANTERM", 0x3259399fe7c5f126, 0xe01c1c8c5db9d1a9},
    };
    assert_int_equal(ARRAY_LEN(published), LIMINE_REQUEST_KINDS);
    for (enum limine_request_kind kind = 0; kind < LIMINE_REQUEST_KINDS; kind++) {
        struct elf_file file = elf_file_make();
        PUT(&file, DATA_AT, UINT64_C(0xc7b1dd30df4c8b88), UINT64_C(0x0a82e883a194f07b),
            published[kind].word2, published[kind].word3, 0, 0,
            kind == LIMINE_ENTRY_POINT ? virt_of(TEXT_AT) : 0);
        assert_int_equal(find(&file).found[kind].virt, virt_of(DATA_AT));
        assert_string_equal(limine_request_name(kind), published[kind].name);
    }
}

TEST("limine requests: an unknown id is counted and stays without a response") {
    struct elf_file file = elf_file_make();
    struct limine_requests want = nothing();
    put_unknown(&file, RODATA_AT);
    put_unknown(&file, DATA_AT);
    put_unknown(&file, DATA_AT + 0x40);
    put_request(&file, DATA_AT + 0x80, LIMINE_HHDM, 0);
    ((uint8_t *)&file)[DATA_AT + 0x80 + 0x18]++; // another id
    want.unknown = 4;
    want.unknown_virt = virt_of(RODATA_AT);
    expect(find(&file), want);
}

TEST("limine requests: a start marker forgets what came before, an end marker ends the search") {
    struct elf_file file = elf_file_make();
    struct limine_requests want = nothing();
    put_request(&file, RODATA_AT, LIMINE_HHDM, 0);
    put_tag(&file, RODATA_AT + 0x40, 1);
    put_unknown(&file, RODATA_AT + 0x60);
    put_start(&file, DATA_AT);
    put_request(&file, DATA_AT + 0x40, LIMINE_MEMMAP, 0);
    put_tag(&file, DATA_AT + 0x80, 3);
    put_end(&file, DATA_AT + 0xa0);
    put_request(&file, DATA_AT + 0x100, LIMINE_RSDP, 0);
    put_tag(&file, DATA_AT + 0x140, 4);
    put_start(&file, DATA_AT + 0x180);
    want.found[LIMINE_MEMMAP].virt = virt_of(DATA_AT + 0x40);
    want.tag = virt_of(DATA_AT + 0x80);
    want.asked = want.base_revision = 3;
    expect(find(&file), want);
    put_tag(&file, DATA_AT + 0x80, 0); // where markers are hints they are followed
    want.asked = want.base_revision = 0;
    expect(find(&file), want);
    put_start(&file, DATA_AT + 0x60); // the last one counts
    want.found[LIMINE_MEMMAP].virt = 0;
    expect(find(&file), want);
}

TEST("limine requests: a marker that is not whole is none") {
    for (uint64_t word = 0; word < 4; word++) {
        struct elf_file file = elf_file_make();
        put_request(&file, RODATA_AT, LIMINE_HHDM, 0);
        put_start(&file, DATA_AT);
        put_end(&file, DATA_AT + 0x40);
        put_request(&file, DATA_AT + 0x80, LIMINE_RSDP, 0);
        struct limine_requests got = find(&file);
        assert_true(!limine_asks(&got, LIMINE_HHDM) && !limine_asks(&got, LIMINE_RSDP));
        ((uint8_t *)&file)[DATA_AT + word * 8 + 3]++;
        ((uint8_t *)&file)[DATA_AT + 0x40 + word % 2 * 8 + 3]++;
        got = find(&file);
        assert_true(limine_asks(&got, LIMINE_HHDM) && limine_asks(&got, LIMINE_RSDP));
    }
}

TEST("limine requests: a second request of a kind is refused, if both count") {
    struct elf_file file = elf_file_make();
    put_request(&file, RODATA_AT, LIMINE_MEMMAP, 0);
    put_request(&file, DATA_AT, LIMINE_MEMMAP, 1);
    put_request(&file, DATA_AT + 0x40, LIMINE_MEMMAP, 1);
    refuse(&file, LIMINE_ERR_TWICE,
           "a second MEMMAP request at 0xffffffff80002000, the first is at 0xffffffff80001000: a "
           "kernel may have one");
    put_start(&file, DATA_AT + 0x80);
    expect(find(&file), nothing());
    put_request(&file, DATA_AT + 0xc0, LIMINE_MEMMAP, 0);
    put_end(&file, DATA_AT + 0x100);
    put_request(&file, DATA_AT + 0x140, LIMINE_MEMMAP, 0);
    assert_int_equal(find(&file).found[LIMINE_MEMMAP].virt, virt_of(DATA_AT + 0xc0));
}

TEST("limine requests: a second tag is refused, if both count") {
    struct elf_file file = elf_file_make();
    put_tag(&file, RODATA_AT, 0);
    put_tag(&file, DATA_AT, 6);
    put_tag(&file, DATA_AT + 0x40, 6);
    refuse(&file, LIMINE_ERR_TAG_TWICE,
           "a second base revision tag at 0xffffffff80002000, the first is at 0xffffffff80001000: "
           "a kernel may have one");
    put_start(&file, DATA_AT + 0x80);
    expect(find(&file), nothing());
}

TEST("limine requests: requests that overlap are each what they say") {
    struct elf_file file = elf_file_make();
    struct limine_requests want = nothing();
    for (uint64_t at = DATA_AT; at < DATA_END - 0x30; at += 0x10) // thousands, of no kind
        PUT(&file, at, LIMINE_MAGIC_0, LIMINE_MAGIC_1);
    put_request(&file, DATA_END - 0x30, LIMINE_MP, 0); // its flags lie behind the file's bytes
    put_request(&file, RODATA_AT, LIMINE_HHDM, 0);
    put_request(&file, RODATA_AT + 0x20, LIMINE_RSDP, 0); // where HHDM's revision would be
    want.unknown = (DATA_END - 0x30 - DATA_AT) / 0x10;
    want.unknown_virt = virt_of(DATA_AT);
    want.found[LIMINE_MP].virt = virt_of(DATA_END - 0x30);
    want.found[LIMINE_HHDM] = (struct limine_found){virt_of(RODATA_AT), LIMINE_MAGIC_0};
    want.found[LIMINE_RSDP].virt = virt_of(RODATA_AT + 0x20);
    expect(find(&file), want);
}

// A kernel whose image ends with the file's bytes of its data, at IMAGE_END.
static struct elf_file make_full(void) {
    struct elf_file file = elf_file_make();
    file.phdrs[ELF_FILE_DATA].file_bytes = file.phdrs[ELF_FILE_DATA].mem_bytes;
    return file;
}

TEST("limine requests: a request must lie in the image as far as its revision reaches") {
    const struct {
        enum limine_request_kind kind;
        uint64_t revision, bytes;
    } reaches[] = {
        {LIMINE_HHDM, 9, 0x30},        {LIMINE_STACK_SIZE, 0, 0x38},  {LIMINE_STACK_SIZE, 9, 0x38},
        {LIMINE_PAGING_MODE, 0, 0x38}, {LIMINE_PAGING_MODE, 1, 0x48}, {LIMINE_PAGING_MODE, 2, 0x48},
        {LIMINE_MP, 0, 0x38},          {LIMINE_MP, 9, 0x38},          {LIMINE_MODULE, 0, 0x30},
        {LIMINE_MODULE, 1, 0x40},      {LIMINE_MODULE, 7, 0x40},      {LIMINE_ENTROPY, 0, 0x38},
        {LIMINE_ENTROPY, 9, 0x38},     {LIMINE_FLANTERM, 0, 0x30},    {LIMINE_ENTRY_POINT, 0, 0x38},
        {LIMINE_ENTRY_POINT, 9, 0x38},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(reaches); i++) {
        struct elf_file file = make_full();
        uint64_t at = IMAGE_END - reaches[i].bytes;
        put_request(&file, at, reaches[i].kind, reaches[i].revision);
        memset((uint8_t *)&file + at + 0x30, 0, reaches[i].bytes - 0x30);
        if (reaches[i].kind == LIMINE_ENTRY_POINT)
            PUT(&file, at + 0x30, virt_of(TEXT_AT));
        assert_int_equal(find(&file).found[reaches[i].kind].virt, virt_of(at));
        file = make_full();
        put_request(&file, at + 8, reaches[i].kind, reaches[i].revision);
        struct elf_parts parts;
        struct limine_requests requests;
        struct limine_error error;
        elf_parts_begin(&parts, &file, 0);
        assert_int_equal(
            limine_find_requests(&parts.image, &parts.memory, &no_section, &requests, &error),
            LIMINE_ERR_CUT);
        elf_parts_end(&parts);
        assert_int_equal(error.kind, reaches[i].kind);
        assert_int_equal(error.a, virt_of(at + 8));
        // without its revision nobody knows how far it was meant to reach
        assert_int_equal(error.b, reaches[i].bytes);
        assert_int_equal(error.c, virt_of(IMAGE_END));
    }
    struct elf_file file = make_full();
    put_request(&file, IMAGE_END - 0x38, LIMINE_PAGING_MODE, 1);
    refuse(&file, LIMINE_ERR_CUT,
           "the PAGING_MODE request at 0xffffffff80004fc8, 72 bytes, runs past the end of the "
           "image at 0xffffffff80005000");
}

TEST("limine requests: what the image's end cuts before its id is whole is no request") {
    struct limine_requests want = nothing();
    for (uint64_t bytes = 8; bytes < 0x30; bytes += 8) {
        struct elf_file file = make_full();
        put_request(&file, IMAGE_END - bytes, LIMINE_HHDM, 0);
        want.unknown = bytes >= 0x10;
        want.unknown_virt = want.unknown == 0 ? 0 : virt_of(IMAGE_END - bytes);
        if (bytes < 0x20)
            expect(find(&file), want);
        else
            refuse(&file, LIMINE_ERR_CUT,
                   bytes == 0x20 ? "the HHDM request at 0xffffffff80004fe0, 48 bytes, runs past "
                                   "the end of the image at 0xffffffff80005000"
                                 : "the HHDM request at 0xffffffff80004fd8, 48 bytes, runs past "
                                   "the end of the image at 0xffffffff80005000");
    }
    struct elf_file file = make_full();
    put_start(&file, IMAGE_END - 0x18);
    put_request(&file, DATA_AT, LIMINE_HHDM, 0);
    assert_int_equal(find(&file).found[LIMINE_HHDM].virt, virt_of(DATA_AT)); // that was no marker
    file = make_full();
    put_tag(&file, IMAGE_END - 0x18, 1);
    assert_int_equal(find(&file).base_revision, 1);
    file = make_full();
    put_tag(&file, IMAGE_END - 0x10, 1);
    refuse(&file, LIMINE_ERR_TAG_CUT,
           "the base revision tag at 0xffffffff80004ff0 runs past the end of the image at "
           "0xffffffff80005000");
}

// ---- What they say

TEST("limine requests: a stack is in whole pages, 64 KiB at least and 1 GiB at most") {
    const uint64_t sizes[][2] = {{0, 65536},
                                 {1, 65536},
                                 {65536, 65536},
                                 {65537, 69632},
                                 {0x20000, 0x20000},
                                 {0x1234567, 0x1235000},
                                 {0x3fffffff, 1 << 30},
                                 {1 << 30, 1 << 30}};
    struct elf_file file = elf_file_make();
    uint64_t at = put_request(&file, DATA_AT, LIMINE_STACK_SIZE, 0);
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
        PUT(&file, at, sizes[i][0]);
        assert_int_equal(find(&file).stack_bytes, sizes[i][1]);
    }
    PUT(&file, at, (1 << 30) + 1);
    refuse(&file, LIMINE_ERR_STACK,
           "the STACK_SIZE request at 0xffffffff80002000 asks for 1073741825 bytes, more than the "
           "1073741824 that there may be");
    PUT(&file, at, UINT64_MAX);
    refuse(&file, LIMINE_ERR_STACK,
           "the STACK_SIZE request at 0xffffffff80002000 asks for 18446744073709551615 bytes, more "
           "than the 1073741824 that there may be");
}

TEST("limine requests: an entry point lies in an executable segment") {
    struct elf_file file = elf_file_make();
    uint64_t at = put_request(&file, DATA_AT, LIMINE_ENTRY_POINT, 0);
    const uint64_t right[] = {TEXT_AT, TEXT_AT + 0x7ff}, wrong[] = {TEXT_AT - 1, TEXT_AT + 0x800};
    for (uint64_t i = 0; i < 2; i++) {
        PUT(&file, at, virt_of(right[i]));
        assert_int_equal(find(&file).entry, virt_of(right[i]));
    }
    PUT(&file, at, virt_of(wrong[0]));
    refuse(&file, LIMINE_ERR_ENTRY,
           "the ENTRY_POINT request at 0xffffffff80002000 asks for 0xffffffff7fffffff, which lies "
           "in no executable segment");
    PUT(&file, at, virt_of(wrong[1]));
    refuse(&file, LIMINE_ERR_ENTRY,
           "the ENTRY_POINT request at 0xffffffff80002000 asks for 0xffffffff80000800, which lies "
           "in no executable segment");
    PUT(&file, at, virt_of(DATA_AT));
    refuse(&file, LIMINE_ERR_ENTRY,
           "the ENTRY_POINT request at 0xffffffff80002000 asks for 0xffffffff80002000, which lies "
           "in no executable segment");
    PUT(&file, at, 0);
    refuse(&file, LIMINE_ERR_ENTRY,
           "the ENTRY_POINT request at 0xffffffff80002000 asks for 0x0, which lies in no "
           "executable segment");
}

TEST("limine requests: bounds of the paging mode count from revision 1 on") {
    struct elf_file file = elf_file_make();
    for (uint64_t revision = 0; revision <= 2; revision++) {
        uint64_t at = put_request(&file, DATA_AT, LIMINE_PAGING_MODE, revision);
        PUT(&file, at, 1, 5, 4);
        struct limine_requests got = find(&file);
        assert_int_equal(got.paging_mode, 1);
        assert_int_equal(got.paging_max, revision == 0 ? 1 : 5);
        assert_int_equal(got.paging_min, revision == 0 ? 0 : 4);
    }
}

TEST("limine requests: levels are the preferred ones, or the nearest that CPU and kernel have") {
    const uint64_t none = 0;
    const struct {
        uint64_t mode, max, min, with_4, with_5;
    } cases[] = {
        {0, 0, 0, 4, 4},       {1, 1, 0, 4, 5},
        {0, 1, 0, 4, 4},       {1, 1, 1, none, 5},
        {0, 1, 1, none, 5},    {1, 0, 0, 4, 4},
        {9, 9, 0, 4, 5},       {9, 9, 2, none, none},
        {0, 0, 1, none, none}, {UINT64_MAX, UINT64_MAX, 1, none, 5},
    };
    for (uint64_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int has_5 = 0; has_5 <= 1; has_5++) {
            struct limine_requests requests = {.found = {[LIMINE_PAGING_MODE] = {0x1000, 1}},
                                               .paging_mode = cases[i].mode,
                                               .paging_max = cases[i].max,
                                               .paging_min = cases[i].min};
            struct limine_error error;
            unsigned levels = 0;
            enum limine_status status =
                limine_choose_levels(&requests, has_5 != 0, &levels, &error);
            assert_int_equal(levels, has_5 != 0 ? cases[i].with_5 : cases[i].with_4);
            assert_int_equal(status, levels == none ? LIMINE_ERR_PAGING : LIMINE_OK);
            if (i == 3 && has_5 == 0)
                expect_words(&error, "the PAGING_MODE request at 0x1000 asks for modes 1 to 1, and "
                                     "the CPU has 0 to 0 (0: 4 levels, 1: 5 levels)");
        }
    }
}

TEST("limine requests: of the flags those that are known count") {
    struct elf_file file = elf_file_make();
    uint64_t at = put_request(&file, DATA_AT, LIMINE_MP, 3);
    for (uint64_t bit = 0; bit < 64; bit++) {
        PUT(&file, at, UINT64_C(1) << bit);
        assert_int_equal(find(&file).mp_flags, bit == 0 ? LIMINE_MP_X2APIC : 0);
    }
    at = put_request(&file, RODATA_AT, LIMINE_ENTROPY, 0);
    PUT(&file, at, UINT64_MAX);
    assert_int_equal(find(&file).entropy_count, UINT64_MAX);
}

// ---- Internal modules

enum { LIST_AT = DATA_AT + 0x100, MODULE_AT = DATA_AT + 0x200, TEXT = DATA_AT + 0x300 };

static void put_text(struct elf_file *file, uint64_t at, const char *text) {
    memcpy((uint8_t *)file + at, text, strlen(text) + 1);
}

// A kernel with one internal module of these addresses.
static struct elf_file make_with_module(uint64_t path, uint64_t string, uint64_t flags) {
    struct elf_file file = make_full();
    uint64_t at = put_request(&file, DATA_AT, LIMINE_MODULE, 1);
    PUT(&file, at, 1, virt_of(LIST_AT));
    PUT(&file, LIST_AT, virt_of(MODULE_AT));
    PUT(&file, MODULE_AT, path, string, flags);
    put_text(&file, TEXT, "initrd.img");
    put_text(&file, TEXT + 0x40, "a b");
    return file;
}

static void expect_text(struct config_text text, const char *want) {
    assert_int_equal(text.bytes, strlen(want));
    assert_memory_equal(text.text, want, text.bytes);
}

static void expect_module(const struct elf_file *file, const char *path, const char *digest,
                          const char *string, bool required, bool compressed) {
    struct elf_parts parts;
    struct limine_module module;
    struct limine_error error;
    struct limine_requests requests = find_in(&parts, file, &no_section);
    assert_int_equal(requests.internal_count, 1);
    assert_int_equal(limine_read_module(&requests, &parts.image, &parts.memory, 0, &module, &error),
                     LIMINE_OK);
    expect_text(module.path, path);
    expect_text(module.digest, digest);
    expect_text(module.string, string);
    assert_int_equal(module.is_required, required);
    assert_int_equal(module.is_compressed, compressed);
    elf_parts_end(&parts);
}

static void refuse_module(const struct elf_file *file, enum limine_status want, const char *text) {
    struct elf_parts parts;
    struct limine_module module = {.is_required = true};
    struct limine_error error;
    struct limine_requests requests = find_in(&parts, file, &no_section);
    uint64_t last = requests.internal_count - 1;
    assert_int_equal(
        limine_read_module(&requests, &parts.image, &parts.memory, last, &module, &error), want);
    assert_int_equal(error.status, want);
    assert_true(module.is_required && module.path.text == NULL);
    expect_words(&error, text);
    elf_parts_end(&parts);
}

TEST("limine requests: an internal module has a path, a string and flags") {
    const uint64_t path = virt_of(TEXT), string = virt_of(TEXT + 0x40);
    for (uint64_t flags = 0; flags < 8; flags++) {
        struct elf_file file = make_with_module(path, string, flags);
        expect_module(&file, "initrd.img", "", "a b", (flags & 1) != 0, (flags & 2) != 0);
    }
    struct elf_file file = make_with_module(path, 0, 0);
    expect_module(&file, "initrd.img", "", "", false, false);
    // Before revision 1 there are none.
    put_request(&file, DATA_AT, LIMINE_MODULE, 0);
    assert_int_equal(find(&file).internal_count, 0);
    assert_int_equal(find(&file).internals, 0);
}

TEST("limine requests: a path may end in a digest of 128 digits, and in nothing less") {
    char path[160], digest[LIMINE_HASH_DIGITS + 1];
    for (int i = 0; i < LIMINE_HASH_DIGITS; i++)
        digest[i] = "0123456789abcdefABCDEF"[i % 22];
    digest[LIMINE_HASH_DIGITS] = '\0';
    struct elf_file file = make_with_module(virt_of(TEXT), 0, 0);
    snprintf(path, sizeof(path), "x#%s", digest);
    put_text(&file, TEXT, path);
    expect_module(&file, "x", digest, "", false, false);
    put_text(&file, TEXT, path + 1); // no path before it
    expect_module(&file, "", digest, "", false, false);
    put_text(&file, TEXT, path + 2);
    expect_module(&file, digest, "", "", false, false);
    path[1] = '/';
    put_text(&file, TEXT, path);
    expect_module(&file, path, "", "", false, false);
    for (uint64_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "x#%s", digest);
        path[i == 0 ? 2 : 129] = "/:@g"[i];
        put_text(&file, TEXT, path);
        expect_module(&file, path, "", "", false, false);
    }
    snprintf(path, sizeof(path), "x#%s0", digest);
    put_text(&file, TEXT, path);
    expect_module(&file, path, "", "", false, false);
}

TEST("limine requests: the list of internal modules lies in the image") {
    struct elf_file file = make_with_module(virt_of(TEXT), 0, 0);
    uint64_t count_at = DATA_AT + 0x30;
    PUT(&file, count_at, 2, virt_of(IMAGE_END - 16));
    assert_int_equal(find(&file).internal_count, 2);
    PUT(&file, count_at, 2, virt_of(IMAGE_END - 15));
    refuse(&file, LIMINE_ERR_MODULES,
           "the list of 2 internal modules at 0xffffffff80004ff1 does not lie in the image "
           "[0xffffffff80000000, 0xffffffff80005000)");
    PUT(&file, count_at, UINT64_C(0x2000000000000001), virt_of(LIST_AT));
    refuse(&file, LIMINE_ERR_MODULES,
           "the list of 2305843009213693953 internal modules at 0xffffffff80002100 does not lie in "
           "the image [0xffffffff80000000, 0xffffffff80005000)");
    PUT(&file, count_at, 1, IMAGE_START - 8);
    refuse(&file, LIMINE_ERR_MODULES,
           "the list of 1 internal modules at 0xffffffff7ffffff8 does not lie in the image "
           "[0xffffffff80000000, 0xffffffff80005000)");
    PUT(&file, count_at, 0, 0); // an empty list needs no place
    assert_int_equal(find(&file).internal_count, 0);
}

TEST("limine requests: an internal module and its texts lie in the image, each with its NUL") {
    struct elf_file file = make_with_module(virt_of(TEXT), 0, 0);
    PUT(&file, LIST_AT, virt_of(IMAGE_END - 23));
    refuse_module(&file, LIMINE_ERR_MODULE,
                  "internal module 0, at 0xffffffff80004fe9, does not lie in the image "
                  "[0xffffffff80000000, 0xffffffff80005000)");
    PUT(&file, LIST_AT, virt_of(IMAGE_END - 24));
    PUT(&file, IMAGE_END - 24, virt_of(TEXT), 0, 0);
    expect_module(&file, "initrd.img", "", "", false, false);
    PUT(&file, LIST_AT, 0);
    refuse_module(&file, LIMINE_ERR_MODULE,
                  "internal module 0, at 0x0, does not lie in the image [0xffffffff80000000, "
                  "0xffffffff80005000)");

    file = make_with_module(0, 0, 0);
    refuse_module(
        &file, LIMINE_ERR_PATH,
        "the path of internal module 0, at 0x0, does not lie in the image "
        "[0xffffffff80000000, 0xffffffff80005000) with a NUL among its first 65536 bytes");
    file = make_with_module(virt_of(IMAGE_END - 2), 0, 0);
    put_text(&file, IMAGE_END - 2, "x");
    expect_module(&file, "x", "", "", false, false);
    ((uint8_t *)&file)[IMAGE_END - 1] = 'y';
    refuse_module(
        &file, LIMINE_ERR_PATH,
        "the path of internal module 0, at 0xffffffff80004ffe, does not lie in the image "
        "[0xffffffff80000000, 0xffffffff80005000) with a NUL among its first 65536 bytes");
    file = make_with_module(virt_of(TEXT), virt_of(IMAGE_END), 0);
    PUT(&file, DATA_AT + 0x30, 2); // the second one
    PUT(&file, LIST_AT + 8, virt_of(MODULE_AT));
    refuse_module(&file, LIMINE_ERR_STRING,
                  "the string of internal module 1, at 0xffffffff80005000, does not lie in the "
                  "image [0xffffffff80000000, 0xffffffff80005000) with a NUL among its first 65536 "
                  "bytes");
    file = make_with_module(virt_of(TEXT), virt_of(TEXT + 0x40), 0);
    ((uint8_t *)&file)[TEXT + 0x41] = 0xff;
    refuse_module(&file, LIMINE_ERR_UTF8,
                  "a text of internal module 0 is not UTF-8: byte 0xff at 0xffffffff80002341");
}

// ---- The section of base revision 0

enum { SECTION_AT = RODATA_AT + 0x100, SECTION_BYTES = 0x20 };

static const struct limine_section list_section = {ELF_FILE_BASE + SECTION_AT - TEXT_AT,
                                                   SECTION_BYTES};

// Its section lists one request of two, and one that is none.
static struct elf_file make_with_list(void) {
    struct elf_file file = elf_file_make();
    put_request(&file, DATA_AT, LIMINE_HHDM, 0);
    put_request(&file, DATA_AT + 0x40, LIMINE_RSDP, 0);
    put_request(&file, DATA_AT + 0x80, LIMINE_RSDP, 0); // refused, if it counted
    put_unknown(&file, DATA_AT + 0xc0);
    PUT(&file, SECTION_AT, virt_of(DATA_AT + 0x40), virt_of(TEXT_AT), 0, virt_of(DATA_AT));
    return file;
}

TEST("limine requests: with base revision 0 a list takes the search's place, up to a 0") {
    struct elf_file file = make_with_list();
    struct limine_requests want = nothing();
    want.is_list = true;
    want.found[LIMINE_RSDP].virt = virt_of(DATA_AT + 0x40);
    want.unknown = 1;
    want.unknown_virt = virt_of(TEXT_AT);
    expect(find_with(&file, &list_section), want);
    put_tag(&file, DATA_AT + 0x100, 0);
    want.tag = virt_of(DATA_AT + 0x100);
    expect(find_with(&file, &list_section), want);
    put_tag(&file, DATA_AT + 0x120, 0);
    refuse_with(&file, &list_section, LIMINE_ERR_TAG_TWICE,
                "a second base revision tag at 0xffffffff80002120, the first is at "
                "0xffffffff80002100: a kernel may have one");
}

TEST("limine requests: from base revision 1 on the list counts no more") {
    struct elf_file file = make_with_list();
    put_unknown(&file, DATA_AT + 0x80); // now there is but one RSDP
    put_tag(&file, DATA_AT + 0x100, 1);
    struct limine_requests got = find_with(&file, &list_section);
    assert_true(limine_asks(&got, LIMINE_HHDM) && limine_asks(&got, LIMINE_RSDP));
    assert_int_equal(got.unknown, 2);
    assert_false(got.is_list);
}

TEST("limine requests: a list that its section ends is whole, as one of an image that slid") {
    struct elf_file file = elf_file_make_dyn();
    const struct limine_section section = {SECTION_AT - TEXT_AT, 0x17}; // two, and a part
    put_request(&file, DATA_AT, LIMINE_HHDM, 0);
    put_request(&file, DATA_AT + 0x40, LIMINE_RSDP, 0);
    put_request(&file, DATA_AT + 0x80, LIMINE_MP, 0);
    PUT(&file, SECTION_AT, virt_of(DATA_AT), virt_of(DATA_AT + 0x40), virt_of(DATA_AT + 0x80));
    struct limine_requests got = find_with(&file, &section);
    assert_true(limine_asks(&got, LIMINE_HHDM) && limine_asks(&got, LIMINE_RSDP));
    assert_false(limine_asks(&got, LIMINE_MP));
}

TEST("limine requests: a list, and what it lists, lies in the image") {
    struct elf_file file = make_with_list();
    const struct limine_section outside = {virt_of(IMAGE_END - 8), 16};
    refuse_with(&file, &outside, LIMINE_ERR_SECTION,
                "section .limine_reqs, 16 bytes at 0xffffffff80004ff8, does not lie in the image "
                "[0xffffffff80000000, 0xffffffff80005000): place it in a segment");
    PUT(&file, SECTION_AT + 8, virt_of(DATA_AT + 0x40));
    refuse_with(&file, &list_section, LIMINE_ERR_TWICE,
                "a second RSDP request at 0xffffffff80002040, the first is at 0xffffffff80002040: "
                "a kernel may have one");
    PUT(&file, SECTION_AT + 8, virt_of(IMAGE_END - 15));
    refuse_with(&file, &list_section, LIMINE_ERR_POINTER,
                "address 1 in section .limine_reqs, 0xffffffff80004ff1, is no request's in the "
                "image [0xffffffff80000000, 0xffffffff80005000)");
    PUT(&file, SECTION_AT + 8, virt_of(IMAGE_END - 16));
    assert_int_equal(find_with(&file, &list_section).unknown, 1);
    PUT(&file, SECTION_AT + 8, 5);
    refuse_with(&file, &list_section, LIMINE_ERR_POINTER,
                "address 1 in section .limine_reqs, 0x5, is no request's in the image "
                "[0xffffffff80000000, 0xffffffff80005000)");
}

// ---- The tag's answer

TEST("limine requests: the tag says which revision is used, and 0 if it is the one asked for") {
    for (uint64_t asked = 0; asked <= 9; asked++) {
        struct elf_file file = elf_file_make();
        struct elf_parts parts;
        uint64_t words[4];
        uint64_t at = put_tag(&file, DATA_AT + 0x10, asked);
        PUT(&file, at, 77);
        struct limine_requests requests = find_in(&parts, &file, &no_section);
        assert_int_equal(requests.asked, asked);
        assert_int_equal(requests.base_revision, asked <= 6 ? asked : 6);
        limine_answer_base(&requests, &parts.memory);
        elf_read_memory(&parts.memory, requests.tag, words, sizeof(words));
        elf_parts_end(&parts);
        assert_int_equal(words[0], LIMINE_TAG_0);
        assert_int_equal(words[1], requests.base_revision);
        assert_int_equal(words[2], asked <= 6 ? 0 : asked);
        assert_int_equal(words[3], 77);
    }
    struct elf_parts parts;
    const struct elf_file file = elf_file_make();
    struct limine_requests requests = find_in(&parts, &file, &no_section);
    limine_answer_base(&requests, &parts.memory); // without a tag: nothing
    assert_memory_equal(parts.memory.pieces[0].memory, (const uint8_t *)&file + TEXT_AT, 0x800);
    elf_parts_end(&parts);
}

TEST("limine requests: the rest of what is refused has words, too") {
    expect_words(&(struct limine_error){.status = LIMINE_OK}, "no error");
    expect_words(&(struct limine_error){.status = LIMINE_ERR_ROOM, .a = 4096},
                 "the responses need more than the 4096 bytes that there are for them");
}
