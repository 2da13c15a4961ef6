// See setup_limine.h.
#include "tests/firmware/setup_limine.h"

#include "common/base/addr.h"
#include "common/base/arith.h"

#include <string.h>

static uint64_t next; // address of what is added next

// The data segment's file offset of an address in it.
static char *in_file(uint64_t virt) {
    return (char *)&setup_kernel + 0x1000 + (virt - ELF_FILE_BASE);
}

uint64_t setup_limine_add(const void *data, uint64_t bytes) {
    const struct elf64_phdr *phdr = &setup_kernel.phdrs[ELF_FILE_DATA];
    uint64_t at = next;
    assert_true(at + bytes <= phdr->virt + phdr->file_bytes);
    memcpy(in_file(at), data, bytes);
    next = align_up(at + bytes, 8);
    return at;
}

void setup_limine(uint64_t base_revision) {
    const struct limine_tag tag = {LIMINE_TAG_0, LIMINE_TAG_1, base_revision};
    next = SETUP_LIMINE_REQUESTS;
    setup_limine_add(&tag, sizeof(tag));
}

uint64_t setup_limine_ask(enum limine_request_kind kind, uint64_t revision, uint32_t words,
                          const uint64_t *more) {
#define ID(name, word2, word3) {LIMINE_MAGIC_0, LIMINE_MAGIC_1, UINT64_C(word2), UINT64_C(word3)},
    static const uint64_t ids[][4] = {LIMINE_REQUESTS(ID)};
#undef ID
    struct limine_request request = {.revision = revision};
    memcpy(request.id, ids[kind], sizeof(request.id));
    uint64_t at = setup_limine_add(&request, sizeof(request));
    if (words != 0)
        setup_limine_add(more, words * sizeof(*more));
    return at + offsetof(struct limine_request, response);
}

const void *setup_limine_at(uint64_t virt) {
    struct vmem space;
    struct vmem_translation translation;
    setup_adopt_space(&space);
    assert_int_equal(vmem_translate(&space, vaddr(virt), &translation), VMEM_OK);
    return (const void *)(uintptr_t)translation.phys.value;
}

const void *setup_limine_response(uint64_t where) {
    uint64_t response;
    memcpy(&response, setup_limine_at(where), sizeof(response));
    return response == 0 ? NULL : setup_limine_at(response);
}

void setup_limine_expect_kernel(void) {
    if (fake.end != FAKE_ENTERED)
        fail_msg("the kernel was not entered: '%s'", fake.com1);
    assert_string_equal(fake.breach, "");
    assert_int_equal(fake.cpu.boot_info, 0);
    assert_int_equal(fake.cpu.cr0, 0x80010011);
    assert_int_equal(fake.cpu.cr4, 0x20);
    assert_int_equal(fake.cpu.efer, 0xd00);
}
