// The kernel's wishes: see elf.h.
#include "loader/elf.h"

#include "common/base/addr.h"
#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

#define NAME       "Slipway"
#define NAME_BYTES sizeof(NAME)
#define HEAD_BYTES __builtin_offsetof(struct slipway_note, wishes)
_Static_assert(NAME_BYTES == sizeof((struct slipway_note){0}.name));
_Static_assert(HEAD_BYTES == sizeof(struct elf64_note) + NAME_BYTES);

#define FLAGS_KNOWN                                                                                \
    ((uint32_t)(SLIPWAY_NOTE_FRAMEBUFFER | SLIPWAY_NOTE_CPUS | SLIPWAY_NOTE_DIRECT |               \
                SLIPWAY_NOTE_KEEP_SCREEN | SLIPWAY_NOTE_SYMBOLS | SLIPWAY_NOTE_CRASH |             \
                SLIPWAY_NOTE_KASLR))

// A kernel built against a newer header may wish for more than is known here. Such a wish must not
// be ignored.
static enum elf_status check_unknown(const uint8_t *desc, uint64_t bytes,
                                     const struct slipway_note_wishes *wishes,
                                     struct elf_error *ret_error) {
    uint64_t at = __builtin_offsetof(struct slipway_note_wishes, reserved);
    bool zero = wishes->reserved == 0;
    for (uint64_t i = sizeof(*wishes); zero && i < bytes; i++) {
        zero = desc[i] == 0;
        at = i;
    }
    return zero ? ELF_OK : ELF_FAIL(ret_error, ELF_ERR_NOTE_UNKNOWN, .a = at);
}

static enum elf_status check_stack(uint64_t bytes, struct elf_error *ret_error) {
    bool in_range = bytes >= ELF_STACK_MIN_BYTES && bytes <= ELF_STACK_MAX_BYTES;
    if (bytes != 0 && (!in_range || !is_aligned(bytes, ELF_STACK_MIN_BYTES)))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_STACK, .a = bytes);
    return ELF_OK;
}

// Below SLIPWAY_WINDOW_BASE. Whether the machine's RAM fits between is not known here.
static enum elf_status check_hhdm(const struct slipway_note_wishes *wishes,
                                  struct elf_error *ret_error) {
    uint64_t base = wishes->hhdm_base;
    uint64_t min = wishes->paging_levels == 5 ? UPPER_HALF_5LEVELS : UPPER_HALF_4LEVELS;
    uint64_t max = SLIPWAY_WINDOW_BASE - SLIPWAY_HHDM_ALIGN;
    if (base != 0 && (!is_aligned(base, SLIPWAY_HHDM_ALIGN) || base < min || base > max))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_HHDM, .a = base, .b = min, .c = max);
    return ELF_OK;
}

// Reads the note's descriptor, `bytes` bytes at `desc`.
static enum elf_status parse_wishes(const uint8_t *desc, uint64_t bytes,
                                    struct slipway_note_wishes *ret_wishes,
                                    struct elf_error *ret_error) {
    struct slipway_note_wishes wishes = {0};
    if (bytes < sizeof(wishes.version))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_SHORT, .a = bytes);
    memcpy(&wishes, desc, min_u64(bytes, sizeof(wishes)));
    if (wishes.version != SLIPWAY_BOOT_VERSION)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_VERSION, .a = wishes.version,
                        .b = SLIPWAY_BOOT_VERSION);
    if ((wishes.flags & ~FLAGS_KNOWN) != 0)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_FLAGS, .a = wishes.flags);
    if (wishes.paging_levels != 0 && wishes.paging_levels != 4 && wishes.paging_levels != 5)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_LEVELS, .a = wishes.paging_levels);
    enum elf_status status = check_unknown(desc, bytes, &wishes, ret_error);
    if (status == ELF_OK)
        status = check_stack(wishes.stack_bytes, ret_error);
    if (status == ELF_OK)
        status = check_hhdm(&wishes, ret_error);
    if (status == ELF_OK)
        *ret_wishes = wishes;
    return status;
}

// struct slipway_note is packed and its name fills two words: there is no padding in or after it,
// whatever its segment's alignment.
bool elf_is_note(const uint8_t *at, uint64_t bytes) {
    struct elf64_note note;
    if (bytes < HEAD_BYTES)
        return false;
    __builtin_memcpy(&note, at, sizeof(note));
    return note.name_bytes == NAME_BYTES && note.type == SLIPWAY_NOTE_TYPE &&
           memcmp(at + sizeof(note), NAME, NAME_BYTES) == 0;
}

// The Slipway note is searched for at every multiple of 4. A walk from note to note would have to
// believe the size and the padding of every note before it, and linkers put notes padded to 4 and
// to 8 bytes into one segment, where no one alignment finds all of them. The search believes
// nothing: the note's section is aligned to 4, and 16 of its first 20 bytes are known. Another
// tool's note would need exactly these bytes to be taken for it.
enum elf_status elf_parse_note(const void *notes, uint64_t bytes,
                               struct slipway_note_wishes *wishes, bool *found,
                               struct elf_error *ret_error) {
    const uint8_t *base = notes;
    struct slipway_note_wishes result;
    bool here = false;
    for (uint64_t at = 0; at < bytes; at += 4) {
        if (!elf_is_note(base + at, bytes - at))
            continue;
        uint32_t desc_bytes;
        memcpy(&desc_bytes, base + at + __builtin_offsetof(struct elf64_note, desc_bytes),
               sizeof(desc_bytes));
        if (desc_bytes > bytes - at - HEAD_BYTES)
            return ELF_FAIL(ret_error, ELF_ERR_NOTE_TRUNCATED, .a = at, .b = bytes,
                            .c = HEAD_BYTES + (uint64_t)desc_bytes);
        if (*found || here)
            return ELF_FAIL(ret_error, ELF_ERR_NOTE_TWICE, .a = at, .b = bytes);
        enum elf_status status =
            parse_wishes(base + at + HEAD_BYTES, desc_bytes, &result, ret_error);
        if (status != ELF_OK)
            return status;
        here = true;
    }
    if (here) {
        *wishes = result;
        *found = true;
    }
    return ELF_OK;
}
