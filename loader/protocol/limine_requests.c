// The search for requests, and what they say: see limine_requests.h.
#include "loader/protocol/limine_requests.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/protocol/limine_image.h"
#include "loader/protocol/limine_magic.h"

#include <stddef.h>

enum { STEP = 8 }; // of the search

static uint64_t read_u64(const uint8_t *at) {
    uint64_t value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
}

// Words whose bits `mask` are `value`.
struct pattern {
    uint64_t mask;
    uint64_t value;
};

static bool matches(struct pattern pattern, const uint8_t *at) {
    return (read_u64(at) & pattern.mask) == pattern.value;
}

// The first of these words from `at` on, or null. Every word of a kernel passes through here: three
// instructions a word.
static const uint8_t *find_word(struct pattern pattern, const uint8_t *at, const uint8_t *end) {
    for (; end - at >= 4 * STEP; at += 4 * STEP)
        if (matches(pattern, at) || matches(pattern, at + STEP) ||
            matches(pattern, at + 2 * STEP) || matches(pattern, at + 3 * STEP))
            break;
    for (; end - at >= STEP; at += STEP)
        if (matches(pattern, at))
            return at;
    return NULL;
}

// ---- Whether there are any

static bool has_magic_at(const struct elf_memory *memory, uint64_t virt, uint64_t end) {
    uint64_t words[2];
    if (end - virt < sizeof(words))
        return false;
    elf_read_memory(memory, virt, words, sizeof(words)); // the second may lie in another piece
    return limine_is_magic(words[0], words[1]);
}

static bool find_magic(const struct elf_memory *memory, const struct elf_segment *segment,
                       uint64_t *ret_virt) {
    static const struct pattern pattern = {LIMINE_ALL_SET | LIMINE_ALL_CLEAR, LIMINE_ALL_SET};
    uint64_t virt = align_up(segment->virt, STEP);
    uint64_t end = segment->virt + segment->file_bytes;
    while (virt < end) {
        uint64_t bytes;
        const uint8_t *memory_at = elf_memory_at(memory, virt, end - virt, &bytes);
        ASSERT(virt + bytes == end || is_aligned(bytes, STEP));
        const uint8_t *word = find_word(pattern, memory_at, memory_at + bytes);
        if (word == NULL) {
            virt += bytes;
            continue;
        }
        virt += (uint64_t)(word - memory_at);
        if (has_magic_at(memory, virt, end)) {
            *ret_virt = virt;
            return true;
        }
        virt += STEP;
    }
    return false;
}

bool limine_has_requests(const struct elf_image *image, const struct elf_memory *memory,
                         uint64_t *ret_virt) {
    for (uint32_t i = 0; i < image->segment_count; i++)
        if (find_magic(memory, &image->segments[i], ret_virt))
            return true;
    return false;
}

// ---- Which ones there are

// What has been found so far. An error is that of what counts so far, and may be forgotten with it.
struct search {
    struct limine_image image;
    struct limine_requests *requests;
    struct limine_error tag_error;
    struct limine_error request_error;
};

static void set_error(struct limine_error *error, struct limine_error value) {
    if (error->status == LIMINE_OK) // the first one is reported
        *error = value;
}

// Words 2 and 3 of the ids.
#define IDS(name, word2, word3) [LIMINE_##name] = {word2, word3},
static const uint64_t ids[LIMINE_REQUEST_KINDS][2] = {LIMINE_REQUESTS(IDS)};
#undef IDS

// LIMINE_REQUEST_KINDS if none has this id.
static enum limine_request_kind find_kind(uint64_t word2, uint64_t word3) {
    enum limine_request_kind kind = 0;
    while (kind < LIMINE_REQUEST_KINDS && (ids[kind][0] != word2 || ids[kind][1] != word3))
        kind++;
    return kind;
}

// How many bytes a request has, as far as it is known here.
static uint64_t bytes_of(enum limine_request_kind kind, uint64_t revision) {
    // Of its own fields, with revision 0 and with a later one.
    static const uint8_t fields[LIMINE_REQUEST_KINDS][2] = {
        [LIMINE_STACK_SIZE] = {8, 8}, [LIMINE_ENTRY_POINT] = {8, 8}, [LIMINE_PAGING_MODE] = {8, 24},
        [LIMINE_MP] = {8, 8},         [LIMINE_MODULE] = {0, 16},     [LIMINE_ENTROPY] = {8, 8},
    };
    return sizeof(struct limine_request) + fields[kind][revision != 0];
}

static uint64_t word_at(const struct search *search, uint64_t virt, uint64_t index) {
    return limine_image_word(&search->image, virt + index * sizeof(uint64_t));
}

// Something that is none of the loader's requests.
static void note_unknown(struct search *search, uint64_t virt) {
    if (search->requests->unknown++ == 0)
        search->requests->unknown_virt = virt;
}

// What begins as requests do.
static void note_request(struct search *search, uint64_t virt) {
    uint64_t left = limine_image_left(&search->image, virt);
    enum limine_request_kind kind = LIMINE_REQUEST_KINDS;
    if (left >= sizeof(((struct limine_request *)0)->id))
        kind = find_kind(word_at(search, virt, 2), word_at(search, virt, 3));
    if (kind == LIMINE_REQUEST_KINDS) {
        note_unknown(search, virt);
        return;
    }
    struct limine_found *found = &search->requests->found[kind];
    uint64_t bytes = bytes_of(kind, 0);
    uint64_t revision = left < bytes ? 0 : word_at(search, virt, 4);
    bytes = bytes_of(kind, revision);
    if (found->virt != 0)
        set_error(&search->request_error,
                  (struct limine_error){LIMINE_ERR_TWICE, kind, .a = virt, .b = found->virt});
    else if (left < bytes)
        set_error(&search->request_error,
                  (struct limine_error){LIMINE_ERR_CUT, kind, .a = virt, .b = bytes,
                                        .c = search->image.end});
    else
        *found = (struct limine_found){virt, revision};
}

static void note_tag(struct search *search, uint64_t virt) {
    struct limine_requests *requests = search->requests;
    if (requests->tag != 0) {
        set_error(
            &search->tag_error,
            (struct limine_error){.status = LIMINE_ERR_TAG_TWICE, .a = virt, .b = requests->tag});
    } else if (limine_image_left(&search->image, virt) < sizeof(struct limine_tag)) {
        set_error(
            &search->tag_error,
            (struct limine_error){.status = LIMINE_ERR_TAG_CUT, .a = virt, .b = search->image.end});
    } else {
        requests->tag = virt;
        requests->asked = word_at(search, virt, 2);
    }
}

static void forget_requests(struct search *search) {
    memset(search->requests->found, 0, sizeof(search->requests->found));
    search->requests->unknown = search->requests->unknown_virt = 0;
    search->request_error.status = LIMINE_OK;
}

static void forget_all(struct search *search) {
    forget_requests(search);
    search->requests->tag = search->requests->asked = 0;
    search->tag_error.status = LIMINE_OK;
}

static bool is_start_marker(const struct search *search, uint64_t virt) {
    return limine_image_left(&search->image, virt) >= 4 * sizeof(uint64_t) &&
           word_at(search, virt, 1) == LIMINE_START_1 &&
           word_at(search, virt, 2) == LIMINE_START_2 && word_at(search, virt, 3) == LIMINE_START_3;
}

// Looks at a word that may be the first one of something. False if it is an end marker's.
static bool look_at(struct search *search, uint64_t virt) {
    if (limine_image_left(&search->image, virt) < 2 * sizeof(uint64_t))
        return true;
    uint64_t first = word_at(search, virt, 0), second = word_at(search, virt, 1);
    if (first == LIMINE_MAGIC_0 && second == LIMINE_MAGIC_1)
        note_request(search, virt);
    else if (first == LIMINE_TAG_0 && second == LIMINE_TAG_1)
        note_tag(search, virt);
    else if (first == LIMINE_START_0 && is_start_marker(search, virt))
        forget_all(search);
    return first != LIMINE_END_0 || second != LIMINE_END_1;
}

// False if an end marker ends the search.
static bool search_segment(struct search *search, const struct elf_segment *segment) {
    static const uint64_t all_set = LIMINE_ALL_SET & LIMINE_END_0;
    static const uint64_t all_clear = LIMINE_ALL_CLEAR & ~LIMINE_END_0;
    static const struct pattern pattern = {all_set | all_clear, all_set};
    const struct limine_image *image = &search->image;
    const uint8_t *at = limine_image_at(image, align_up(segment->virt, STEP));
    const uint8_t *end = limine_image_at(image, segment->virt + segment->file_bytes);
    for (; (at = find_word(pattern, at, end)) != NULL; at += STEP)
        if (!look_at(search, image->start + (uint64_t)(at - image->memory)))
            return false;
    return true;
}

static void search_image(struct search *search, const struct elf_image *image) {
    for (uint32_t i = 0; i < image->segment_count; i++)
        if (!search_segment(search, &image->segments[i]))
            return;
}

// Takes the requests of section .limine_reqs.
static void take_list(struct search *search, uint64_t virt, uint64_t bytes) {
    const struct limine_image *image = &search->image;
    forget_requests(search);
    search->requests->is_list = true;
    if (bytes > limine_image_left(image, virt)) {
        set_error(&search->request_error, (struct limine_error){.status = LIMINE_ERR_SECTION,
                                                                .a = virt,
                                                                .b = bytes,
                                                                .c = image->start,
                                                                .d = image->end});
        return;
    }
    for (uint64_t i = 0; i < bytes / sizeof(uint64_t); i++) {
        uint64_t at = word_at(search, virt, i);
        if (at == 0)
            return;
        if (limine_image_left(image, at) < 2 * sizeof(uint64_t))
            set_error(&search->request_error, (struct limine_error){.status = LIMINE_ERR_POINTER,
                                                                    .index = i,
                                                                    .a = at,
                                                                    .c = image->start,
                                                                    .d = image->end});
        else if (word_at(search, at, 0) == LIMINE_MAGIC_0 &&
                 word_at(search, at, 1) == LIMINE_MAGIC_1)
            note_request(search, at);
        else
            note_unknown(search, at);
    }
}

// ---- What they say

// A field of a request of this kind, which is there; else *value, what holds without it, stays.
static void read_field(const struct search *search, enum limine_request_kind kind, uint64_t offset,
                       uint64_t *value) {
    const struct limine_found *found = &search->requests->found[kind];
    if (found->virt != 0 && offset < bytes_of(kind, found->revision))
        *value = limine_image_word(&search->image, found->virt + offset);
}

#define READ_FIELD(search, kind, type, field, value)                                               \
    read_field(search, kind, offsetof(struct type, field), value)

static struct limine_error read_stack(const struct search *search) {
    struct limine_requests *requests = search->requests;
    uint64_t bytes = 0;
    READ_FIELD(search, LIMINE_STACK_SIZE, limine_stack_size_request, bytes, &bytes);
    if (bytes > LIMINE_STACK_MAX_BYTES)
        return (struct limine_error){.status = LIMINE_ERR_STACK,
                                     .a = requests->found[LIMINE_STACK_SIZE].virt,
                                     .b = bytes,
                                     .c = LIMINE_STACK_MAX_BYTES};
    requests->stack_bytes = max_u64(align_up(bytes, FRAME_BYTES), LIMINE_STACK_MIN_BYTES);
    return (struct limine_error){0};
}

static bool is_code(const struct elf_image *image, uint64_t virt) {
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (segment->execute && virt - segment->virt < segment->mem_bytes)
            return true;
    }
    return false;
}

static struct limine_error read_entry(const struct search *search, const struct elf_image *image) {
    struct limine_requests *requests = search->requests;
    uint64_t request = requests->found[LIMINE_ENTRY_POINT].virt;
    READ_FIELD(search, LIMINE_ENTRY_POINT, limine_entry_point_request, entry, &requests->entry);
    if (request != 0 && !is_code(image, requests->entry))
        return (struct limine_error){
            .status = LIMINE_ERR_ENTRY, .a = request, .b = requests->entry};
    return (struct limine_error){0};
}

// Without the request all three are 0, LIMINE_PAGING_4_LEVELS.
static void read_paging(const struct search *search) {
    struct limine_requests *requests = search->requests;
    READ_FIELD(search, LIMINE_PAGING_MODE, limine_paging_mode_request, mode,
               &requests->paging_mode);
    requests->paging_max = requests->paging_mode;
    READ_FIELD(search, LIMINE_PAGING_MODE, limine_paging_mode_request, max, &requests->paging_max);
    READ_FIELD(search, LIMINE_PAGING_MODE, limine_paging_mode_request, min, &requests->paging_min);
}

static struct limine_error read_modules(const struct search *search) {
    struct limine_requests *requests = search->requests;
    const struct limine_image *image = &search->image;
    uint64_t bytes;
    READ_FIELD(search, LIMINE_MODULE, limine_module_request, internal_count,
               &requests->internal_count);
    READ_FIELD(search, LIMINE_MODULE, limine_module_request, internals, &requests->internals);
    if (mul_overflows(requests->internal_count, sizeof(uint64_t), &bytes) ||
        bytes > limine_image_left(image, requests->internals))
        return (struct limine_error){.status = LIMINE_ERR_MODULES,
                                     .a = requests->internals,
                                     .b = requests->internal_count,
                                     .c = image->start,
                                     .d = image->end};
    return (struct limine_error){0};
}

static struct limine_error read_fields(const struct search *search, const struct elf_image *image) {
    struct limine_requests *requests = search->requests;
    struct limine_error error = read_stack(search);
    if (error.status == LIMINE_OK)
        error = read_entry(search, image);
    if (error.status == LIMINE_OK)
        error = read_modules(search);
    read_paging(search);
    READ_FIELD(search, LIMINE_MP, limine_mp_request, flags, &requests->mp_flags);
    requests->mp_flags &= LIMINE_MP_X2APIC;
    READ_FIELD(search, LIMINE_ENTROPY, limine_entropy_request, count, &requests->entropy_count);
    return error;
}

enum limine_status limine_find_requests(const struct elf_image *image,
                                        const struct elf_memory *memory,
                                        const struct limine_section *section,
                                        struct limine_requests *ret_requests,
                                        struct limine_error *ret_error) {
    struct limine_requests requests = {0};
    struct search search = {.image = limine_image_of(image, memory), .requests = &requests};
    search_image(&search, image);
    requests.base_revision = min_u64(requests.asked, LIMINE_BASE_REVISION_MAX);
    if (requests.base_revision == 0 && section->bytes != 0)
        take_list(&search, section->virt + image->slide, section->bytes);
    struct limine_error error = search.tag_error;
    if (error.status == LIMINE_OK)
        error = search.request_error;
    if (error.status == LIMINE_OK)
        error = read_fields(&search, image);
    if (error.status == LIMINE_OK)
        *ret_requests = requests;
    else
        *ret_error = error;
    return error.status;
}

enum limine_status limine_choose_levels(const struct limine_requests *requests,
                                        bool cpu_has_5_levels, unsigned *ret_levels,
                                        struct limine_error *ret_error) {
    uint64_t highest = cpu_has_5_levels ? LIMINE_PAGING_5_LEVELS : LIMINE_PAGING_4_LEVELS;
    uint64_t max = min_u64(requests->paging_max, highest);
    if (requests->paging_min > max) {
        *ret_error = (struct limine_error){.status = LIMINE_ERR_PAGING,
                                           .a = requests->found[LIMINE_PAGING_MODE].virt,
                                           .b = requests->paging_min,
                                           .c = requests->paging_max,
                                           .d = highest};
        return LIMINE_ERR_PAGING;
    }
    uint64_t mode = max_u64(min_u64(requests->paging_mode, max), requests->paging_min);
    *ret_levels = mode == LIMINE_PAGING_5_LEVELS ? 5 : 4;
    return LIMINE_OK;
}

void limine_answer_base(const struct limine_requests *requests, const struct elf_memory *memory) {
    const uint64_t zero = 0;
    if (requests->tag == 0)
        return;
    elf_write_memory(memory, requests->tag + offsetof(struct limine_tag, used),
                     &requests->base_revision, sizeof(requests->base_revision));
    if (requests->asked == requests->base_revision)
        elf_write_memory(memory, requests->tag + offsetof(struct limine_tag, revision), &zero,
                         sizeof(zero));
}
