// What a file is instead of a kernel for this loader: see elf.h.
//
// Formats: RFC 1952 (gzip), xz file format 1.2.1, RFC 8878 (Zstandard), Microsoft PE/COFF, Linux
// x86 boot protocol 2.15. Protocols: Multiboot 0.6.96 (3.1.1), Multiboot2 2.0 (3.1.1), the Limine
// boot protocol (requests, the marker before them, and the tag with the base revision).
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "loader/protocol/limine_magic.h"

// Bytes of a file, and a place among them.
struct place {
    const uint8_t *bytes;
    uint64_t count;
    uint64_t at; // at + 8 <= count
};

static uint32_t read_u32(const uint8_t *at) {
    uint32_t value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read_u64(const uint8_t *at) {
    uint64_t value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
}

static enum elf_status identify_pe(const struct place *place) {
    const uint64_t field = place->at + 0x3c; // where the PE header's offset stands
    if (place->count < field + 4)
        return ELF_OK;
    uint64_t header = place->at + read_u32(place->bytes + field);
    bool is_pe = header <= place->count - 4 && memcmp(place->bytes + header, "PE\0", 4) == 0;
    return is_pe ? ELF_IS_PE : ELF_OK;
}

// True if the header's words add up to 0, as its last word is chosen to make them.
static bool sum_is_zero(const struct place *place, uint64_t words) {
    uint32_t sum = 0;
    if (place->count - place->at < words * 4)
        return false;
    for (uint64_t i = 0; i < words; i++)
        sum += read_u32(place->bytes + place->at + i * 4);
    return sum == 0;
}

static enum elf_status identify_multiboot(const struct place *place) {
    return sum_is_zero(place, 3) ? ELF_IS_MULTIBOOT : ELF_OK;
}

static enum elf_status identify_multiboot2(const struct place *place) {
    return sum_is_zero(place, 4) ? ELF_IS_MULTIBOOT2 : ELF_OK;
}

static enum elf_status identify_limine(const struct place *place) {
    if (place->count - place->at < 16)
        return ELF_OK;
    bool is_limine =
        limine_is_magic(read_u64(place->bytes + place->at), read_u64(place->bytes + place->at + 8));
    return is_limine ? ELF_IS_LIMINE : ELF_OK;
}

// A signature is 8 bytes whose bits `mask` are `value`, at a multiple of `step` from `first` to
// `last` in the file. Where these bits alone do not tell what the file is, `identify` does; ELF_OK:
// nothing.
static const struct signature {
    uint64_t mask, value;
    uint64_t first, last, step;
    enum elf_status status;
    enum elf_status (*identify)(const struct place *place);
} signatures[] = {
    {0xffffff, 0x088b1f, 0, 0, 8, ELF_IS_GZIP, NULL},
    {0xffffffffffff, 0x005a587a37fd, 0, 0, 8, ELF_IS_XZ, NULL},
    {0xffffffff, 0xfd2fb528, 0, 0, 8, ELF_IS_ZSTD, NULL},
    // The boot flag and, 4 bytes on, "HdrS". Such a kernel may be a PE file as well.
    {0xffffffff0000ffff, 0x537264480000aa55, 0x1fe, 0x1fe, 2, ELF_IS_BZIMAGE, NULL},
    {0xffff, 0x5a4d, 0, 0, 8, ELF_OK, identify_pe},
    {0xffffffff, 0x1badb002, 0, 8192 - 12, 4, ELF_OK, identify_multiboot},
    {0xffffffff, 0xe85250d6, 0, 32768 - 16, 8, ELF_OK, identify_multiboot2},
    {LIMINE_ALL_SET | LIMINE_ALL_CLEAR, LIMINE_ALL_SET, 0, UINT64_MAX, 8, ELF_OK, identify_limine},
};

// The first signature of this kind in `bytes`, which stand at `offset` in the file. Every word of a
// kernel without a note passes through the loop: it has seven instructions.
static enum elf_status find_signature(const struct signature *signature, const uint8_t *bytes,
                                      uint64_t count, uint64_t offset, uint64_t *ret_at) {
    uint64_t first = max_u64(signature->first, align_up(offset, signature->step));
    ASSERT(count >= 8 && is_power_of_two(signature->step));
    uint64_t end = min_u64(signature->last, offset + count - 8) + 1;
    uint64_t step = signature->step;
    const uint8_t *stop = bytes + (max_u64(first, end) - offset);
    for (const uint8_t *at = bytes + (first - offset); at < stop; at += step) {
        if ((read_u64(at) & signature->mask) != signature->value)
            continue;
        struct place place = {bytes, count, (uint64_t)(at - bytes)};
        enum elf_status status =
            signature->identify == NULL ? signature->status : signature->identify(&place);
        *ret_at = offset + place.at;
        if (status != ELF_OK)
            return status;
    }
    return ELF_OK;
}

bool elf_find_origin(const void *bytes, uint64_t count, uint64_t offset,
                     struct elf_error *ret_origin) {
    for (uint64_t i = 0; count >= 8 && i < ARRAY_LEN(signatures); i++) {
        uint64_t at;
        enum elf_status status = find_signature(&signatures[i], bytes, count, offset, &at);
        if (status != ELF_OK) {
            *ret_origin = (struct elf_error){.status = status, .a = at};
            return true;
        }
    }
    return false;
}
