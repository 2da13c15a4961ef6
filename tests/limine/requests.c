// The requests of one kernel. limine.mk defines REVISION, and a word for each thing that sets it
// apart.
#include "requests.h"

#include <stddef.h>

// 1 if the word is defined, as 1, else 0.
#define ASKS(word)      IS_ONE_DIGIT(word)
#define IS_ONE_DIGIT(x) (sizeof(#x) == sizeof("1"))

enum { HAS_OUTSIDE = REVISION >= 2 && !ASKS(UNMARKED) };

const struct variant variant = {
    .revision = REVISION,
    .has_tag = !ASKS(NO_TAG),
    .has_markers = !ASKS(UNMARKED),
    .has_section = ASKS(SECTION),
    // Before base revision 2 a loader may look everywhere, and refuses what is there twice.
    .has_outside = HAS_OUTSIDE,
    .is_read_only = ASKS(READ_ONLY),
    .is_rwx = ASKS(RWX),
    .asks_entry = ASKS(AT_REQUEST),
    .asks_stack = !ASKS(NO_WISHES),
    .asks_paging = !ASKS(NO_WISHES),
    .asks_5_levels = ASKS(FIVE),
    .asks_x2apic = ASKS(X2APIC),
    .asks_compressed = ASKS(COMPRESSED),
};

void requested_entry(void) __attribute__((visibility("hidden")));

static struct limine_internal_module internals[] = {
    {(uint64_t)INTERNAL_PATH, (uint64_t)INTERNAL_STRING, LIMINE_MODULE_REQUIRED},
    {(uint64_t)MISSING_PATH, (uint64_t) "", 0},
    {(uint64_t)(INTERNAL_PATH "#" INTERNAL_DIGEST), (uint64_t)DIGESTED_STRING, 0},
    {(uint64_t)COMPRESSED_PATH, (uint64_t)COMPRESSED_STRING,
     LIMINE_MODULE_REQUIRED | LIMINE_MODULE_COMPRESSED},
};
static struct limine_internal_module *internal_list[] = {&internals[0], &internals[1],
                                                         &internals[2], &internals[3]};
enum { INTERNALS = ASKS(COMPRESSED) ? 4 : 3 };

// In the order of the link script. What the loader writes is volatile.
#define IN_SECTION(name) __attribute__((used, aligned(8), section(".limine_" name)))

#define IF(condition, value) ((condition) ? UINT64_C(value) : 0)
#define IS_MADE(kind)                                                                              \
    !(((kind) == LIMINE_STACK_SIZE && ASKS(NO_WISHES)) ||                                          \
      ((kind) == LIMINE_PAGING_MODE && ASKS(NO_WISHES)) ||                                         \
      ((kind) == LIMINE_ENTRY_POINT && !ASKS(AT_REQUEST)) ||                                       \
      ((kind) == LIMINE_KEEP_IOMMU && !ASKS(KEEP_IOMMU)))
#define REVISION_OF(kind)                                                                          \
    ((kind) == LIMINE_MODULE || (kind) == LIMINE_PAGING_MODE ? 1                                   \
     : (kind) == LIMINE_HHDM || (kind) == LIMINE_FRAMEBUFFER || (kind) == LIMINE_RSDP              \
         ? HIGH_REVISION                                                                           \
         : 0)
#define FIELD_0(kind)                                                                              \
    ((kind) == LIMINE_STACK_SIZE    ? WANTED_STACK_BYTES                                           \
     : (kind) == LIMINE_ENTRY_POINT ? (uint64_t)requested_entry                                    \
     : (kind) == LIMINE_PAGING_MODE ? ASKS(FIVE)                                                   \
     : (kind) == LIMINE_MP          ? ASKS(X2APIC)                                                 \
     : (kind) == LIMINE_MODULE      ? INTERNALS                                                    \
     : (kind) == LIMINE_ENTROPY     ? WANTED_ENTROPY                                               \
                                    : 0)
#define FIELD_1(kind)                                                                              \
    ((kind) == LIMINE_PAGING_MODE ? ASKS(FIVE)                                                     \
     : (kind) == LIMINE_MODULE    ? (uint64_t)internal_list                                        \
                                  : 0)

#define REQUEST_(name, word2, word3)                                                               \
    [LIMINE_##name] = {                                                                            \
        .head = {.id = {IF(IS_MADE(LIMINE_##name), 0xc7b1dd30df4c8b88),                            \
                        IF(IS_MADE(LIMINE_##name), 0x0a82e883a194f07b),                            \
                        IF(IS_MADE(LIMINE_##name), word2), IF(IS_MADE(LIMINE_##name), word3)},     \
                 .revision = REVISION_OF(LIMINE_##name)},                                          \
        .fields = {FIELD_0(LIMINE_##name), FIELD_1(LIMINE_##name)},                                \
    },

#ifndef UNMARKED
IN_SECTION("start")
static volatile uint64_t start_marker[] = {LIMINE_START_0, LIMINE_START_1, LIMINE_START_2,
                                           LIMINE_START_3};
IN_SECTION("end") static volatile uint64_t end_marker[] = {LIMINE_END_0, LIMINE_END_1};
#endif

IN_SECTION("requests") volatile struct request requests[] = {LIMINE_REQUESTS(REQUEST_)};
#ifdef NO_TAG
IN_SECTION("requests") volatile uint64_t base_tag[3] = {0};
#else
IN_SECTION("requests") volatile uint64_t base_tag[3] = {LIMINE_TAG_0, LIMINE_TAG_1, REVISION};
#endif
IN_SECTION("requests")
volatile struct request unknown_request = {
    .head = {.id = {LIMINE_MAGIC_0, LIMINE_MAGIC_1, 0x1111111122222222, 0x3333333344444444},
             .response = UNTOUCHED}};
IN_SECTION("requests")
volatile struct request foreign_request = {
    .head = {.id = {LIMINE_MAGIC_0, LIMINE_MAGIC_1, 0x1369359f025525f9, 0x2ff2a56178391bb6},
             .response = UNTOUCHED}};

// Twins of what the kernel asks for as well: a loader that saw them would refuse it.
#define TWIN(condition)                                                                            \
    {                                                                                              \
        .id = {IF(condition, 0xc7b1dd30df4c8b88), IF(condition, 0x0a82e883a194f07b),               \
               IF(condition, 0x48dcf1cb8ad2b852), IF(condition, 0x63984e959a98244b)},              \
        .response = UNTOUCHED                                                                      \
    }
#define TWIN_TAG                                                                                   \
    { IF(HAS_OUTSIDE, 0xf9562b2d5c95a6c8), IF(HAS_OUTSIDE, 0x6a7b384944536bdc), 1 }
IN_SECTION("requests") volatile struct unaligned unaligned = {.request = TWIN(1)};
IN_SECTION("before") volatile struct request request_before = {.head = TWIN(HAS_OUTSIDE)};
IN_SECTION("before") volatile uint64_t tag_before[] = TWIN_TAG;
IN_SECTION("after") volatile struct request request_after = {.head = TWIN(HAS_OUTSIDE)};
IN_SECTION("after") volatile uint64_t tag_after[] = TWIN_TAG;

#ifdef SECTION
// What a loader reads instead of the image: all but the last kind.
#define LISTED_(name, word2, word3)                                                                \
    LIMINE_##name == LIMINE_FLANTERM ? NULL : &requests[LIMINE_##name],
__attribute__((used, section(".limine_reqs"))) static volatile struct request *const listed[] = {
    LIMINE_REQUESTS(LISTED_)};
#endif

bool request_is_made(enum limine_request_kind kind) {
    return requests[kind].head.id[0] != 0;
}

uint64_t response_address(enum limine_request_kind kind) {
    return requests[kind].head.response;
}

const void *response_of(enum limine_request_kind kind) {
    return (const void *)requests[kind].head.response;
}
