// A hostile kernel for Limine: a small image with requests, markers, tags and lists anywhere, or of
// anything. What is found lies in the image and keeps every promise of limine_requests.h; a refusal
// has words; and nothing outside of the image is read, which stands in a block of its size.
#include "loader/protocol/limine_requests.h"

#include "common/base/arith.h"
#include "loader/protocol/limine_magic.h"
#include "tests/fuzz/patch.h"

#include <stdlib.h>

// Offsets in the image: text, and data behind a hole.
enum {
    TEXT_BYTES = 0x200,
    DATA = 0x400,
    DATA_FILE_BYTES = 0xa00,
    IMAGE_BYTES = 0x1000,
    MODULES = 0xc00,
    LIST = 0xd00,
};

#define BASE SLIPWAY_KERNEL_DEFAULT

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
    if (!condition)
        abort();
}

static bool is_inside(uint64_t virt, uint64_t bytes) {
    return virt >= BASE && virt - BASE <= IMAGE_BYTES && bytes <= IMAGE_BYTES - (virt - BASE);
}

static uint64_t word_at(const uint8_t *image, uint64_t virt) {
    uint64_t word;
    memcpy(&word, image + (virt - BASE), sizeof(word));
    return word;
}

static void drop(void *context, const char *text, size_t bytes) {
    *(size_t *)context += bytes + (text[0] == '\0');
}

static void check_error(const struct limine_error *error, enum limine_status status) {
    size_t printed = 0;
    struct sink sink = {drop, &printed};
    require(error->status == status);
    limine_error_print(&sink, error);
    require(printed > 0);
}

// What follows the magics of each request there is.
#define IDS(name, word2, word3) {word2, word3},
static const uint64_t ids[][2] = {LIMINE_REQUESTS(IDS)};
#undef IDS

// A kernel that is in order: every request, a module, a list.
static void make_image(uint8_t *image) {
    const uint64_t start[] = {LIMINE_START_0,
                              LIMINE_START_1,
                              LIMINE_START_2,
                              LIMINE_START_3,
                              LIMINE_TAG_0,
                              LIMINE_TAG_1,
                              3};
    const uint64_t end[] = {LIMINE_END_0, LIMINE_END_1};
    const uint64_t module[] = {BASE + MODULES + 0x40, BASE + MODULES + 0x48, 3};
    uint64_t at = DATA;
    memset(image, 0, IMAGE_BYTES);
    memcpy(image + at, start, sizeof(start));
    at += sizeof(start);
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++, at += 0x48) {
        const uint64_t request[] = {LIMINE_MAGIC_0,
                                    LIMINE_MAGIC_1,
                                    ids[i][0],
                                    ids[i][1],
                                    1,
                                    0,
                                    i == LIMINE_ENTRY_POINT ? BASE : 1,
                                    i == LIMINE_MODULE ? BASE + LIST : 1};
        memcpy(image + at, request, sizeof(request));
        memcpy(image + LIST + (i + 1) * 8, &(uint64_t){BASE + at}, 8);
    }
    require(at + sizeof(end) <= MODULES);
    memcpy(image + at, end, sizeof(end));
    memcpy(image + MODULES, module, sizeof(module));
    memcpy(image + MODULES + 0x40, "initrd\0words", 13);
    memcpy(image + LIST, &(uint64_t){BASE + MODULES}, 8);
}

static void check_text(const uint8_t *image, struct config_text text) {
    const uint8_t *at = (const uint8_t *)text.text;
    if (text.bytes == 0)
        return;
    require(at >= image && at < image + IMAGE_BYTES && text.bytes < LIMINE_TEXT_MAX_BYTES &&
            text.bytes < (uint64_t)(image + IMAGE_BYTES - at));
    require(memchr(at, 0, text.bytes) == NULL);
}

static void read_modules(const struct limine_requests *requests, const struct elf_image *elf,
                         const struct elf_memory *memory) {
    for (uint64_t i = 0; i < requests->internal_count; i++) {
        struct limine_module module;
        struct limine_error error;
        enum limine_status status = limine_read_module(requests, elf, memory, i, &module, &error);
        if (status != LIMINE_OK) {
            check_error(&error, status);
            require(error.index == i);
            continue;
        }
        check_text(memory->pieces[0].memory, module.path);
        check_text(memory->pieces[0].memory, module.string);
        check_text(memory->pieces[0].memory, module.digest);
        require(module.digest.bytes == 0 || module.digest.bytes == LIMINE_HASH_DIGITS);
    }
}

static void check_requests(const struct limine_requests *requests, const uint8_t *image) {
    for (uint64_t i = 0; i < LIMINE_REQUEST_KINDS; i++) {
        uint64_t virt = requests->found[i].virt;
        require(virt != 0 || requests->found[i].revision == 0);
        if (virt == 0)
            continue;
        require(is_inside(virt, sizeof(struct limine_request)));
        require(word_at(image, virt) == LIMINE_MAGIC_0 && word_at(image, virt + 16) == ids[i][0]);
        require(word_at(image, virt + 32) == requests->found[i].revision);
        for (uint64_t j = 0; j < i; j++)
            require(requests->found[j].virt != virt);
    }
    require(requests->tag == 0 || is_inside(requests->tag, sizeof(struct limine_tag)));
    require(requests->base_revision == min_u64(requests->asked, LIMINE_BASE_REVISION_MAX));
    require(requests->stack_bytes >= LIMINE_STACK_MIN_BYTES &&
            requests->stack_bytes <= LIMINE_STACK_MAX_BYTES && requests->stack_bytes % 4096 == 0);
    require(requests->entry == 0 || requests->entry - BASE < TEXT_BYTES);
    require(requests->internal_count <= IMAGE_BYTES / 8);
    require(requests->internal_count == 0 ||
            is_inside(requests->internals, requests->internal_count * 8));
    require(requests->unknown <= IMAGE_BYTES);
    require((requests->unknown != 0) == (requests->unknown_virt != 0));
    require((requests->mp_flags & ~LIMINE_MP_X2APIC) == 0);
}

static void check_levels(const struct limine_requests *requests) {
    for (unsigned has_5 = 0; has_5 <= 1; has_5++) {
        struct limine_error error;
        unsigned levels = 0;
        enum limine_status status = limine_choose_levels(requests, has_5 != 0, &levels, &error);
        if (status != LIMINE_OK)
            check_error(&error, status);
        else
            require(levels >= 4 && levels <= 4 + has_5 && levels - 4 >= requests->paging_min &&
                    levels - 4 <= requests->paging_max);
    }
}

// What the tag's answer changes is the tag.
static void check_answer(const struct limine_requests *requests, const struct elf_memory *memory) {
    uint8_t before[IMAGE_BYTES];
    uint8_t *image = memory->pieces[0].memory;
    memcpy(before, image, sizeof(before));
    limine_answer_base(requests, memory);
    if (requests->tag != 0) {
        uint64_t at = requests->tag - BASE;
        require(word_at(image, requests->tag + 8) == requests->base_revision);
        require(word_at(image, requests->tag + 16) ==
                (requests->asked <= LIMINE_BASE_REVISION_MAX ? 0 : requests->asked));
        memcpy(before + at, image + at, sizeof(struct limine_tag));
    }
    require(memcmp(before, image, sizeof(before)) == 0);
}

static void search(const struct elf_image *elf, const struct elf_memory *memory,
                   const struct limine_section *section) {
    struct limine_requests requests;
    struct limine_error error = {.status = LIMINE_OK};
    uint64_t virt = 0;
    bool has = limine_has_requests(elf, memory, &virt);
    require(has == (virt != 0));
    require(!has || (virt % 8 == 0 && is_inside(virt, 16)));
    enum limine_status status = limine_find_requests(elf, memory, section, &requests, &error);
    require(error.status == status);
    if (status != LIMINE_OK) {
        check_error(&error, status);
        return;
    }
    check_requests(&requests, memory->pieces[0].memory);
    check_levels(&requests);
    read_modules(&requests, elf, memory);
    check_answer(&requests, memory);
}

// Strews magics, which a fuzzer would not invent, over the image: of each 4 bytes two say where,
// one says what, and one is the revision of a request.
static void write_words(uint8_t *image, const uint8_t *data, size_t bytes) {
    const uint64_t magics[][4] = {
        {LIMINE_TAG_0, LIMINE_TAG_1, 6, 0},
        {LIMINE_START_0, LIMINE_START_1, LIMINE_START_2, LIMINE_START_3},
        {LIMINE_END_0, LIMINE_END_1, 0, 0},
    };
    for (; bytes >= 4; data += 4, bytes -= 4) {
        uint16_t at;
        uint64_t words[6] = {LIMINE_MAGIC_0, LIMINE_MAGIC_1};
        memcpy(&at, data, sizeof(at));
        uint64_t offset = at % IMAGE_BYTES;
        uint64_t what = data[2] % (LIMINE_REQUEST_KINDS + ARRAY_LEN(magics));
        if (what < LIMINE_REQUEST_KINDS)
            memcpy(words + 2, ids[what], sizeof(ids[what]));
        else
            memcpy(words, magics[what - LIMINE_REQUEST_KINDS], sizeof(magics[0]));
        words[4] = data[3];
        memcpy(image + offset, words, min_u64(sizeof(words), IMAGE_BYTES - offset));
    }
}

// Two bytes of the section, one of its place; the next says what follows: patches of a kernel that
// is in order, or requests to be strewn over one that is empty.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes < 4)
        return 0;
    struct elf_segment segments[] = {
        {.virt = BASE, .file_bytes = TEXT_BYTES, .mem_bytes = TEXT_BYTES, .execute = true},
        {.virt = BASE + DATA + data[3] % 8U, .file_bytes = IMAGE_BYTES - DATA - 8, .write = true},
    };
    if (data[3] % 16 < 8)
        segments[1].file_bytes = DATA_FILE_BYTES;
    segments[1].mem_bytes = IMAGE_BYTES - (segments[1].virt - BASE);
    const struct elf_image elf = {.slide = BASE,
                                  .virt_start = BASE,
                                  .virt_end = BASE + IMAGE_BYTES,
                                  .segments = segments,
                                  .segment_count = ARRAY_LEN(segments)};
    uint8_t *image = malloc(IMAGE_BYTES);
    const struct elf_piece piece = {BASE, IMAGE_BYTES, image};
    const struct elf_memory memory = {&piece, 1};
    struct limine_section section = {LIST + data[0] % 16U, data[1] * (uint64_t)(data[0] / 64)};
    make_image(image);
    if (data[2] % 2 == 0) {
        patch_apply(data + 4, bytes - 4, image, IMAGE_BYTES);
    } else {
        memset(image, 0, IMAGE_BYTES);
        write_words(image, data + 4, bytes - 4);
    }
    search(&elf, &memory, &section);
    free(image);
    return 0;
}
