// The kernel's wishes: see elf.h.
#include "loader/elf.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/elf_format.h"
#include "loader/elf_internal.h"

#define NAME       "Slipway"
#define NAME_BYTES sizeof(NAME)
_Static_assert(NAME_BYTES == sizeof((struct slipway_note){0}.name));

#define HHDM_ALIGN         GIB(512)
#define UPPER_HALF_4LEVELS UINT64_C(0xffff800000000000)
#define UPPER_HALF_5LEVELS UINT64_C(0xff00000000000000)

// The descriptor: where it is, and which note it is of.
struct descriptor {
    const uint8_t *at;
    uint64_t bytes;
    uint32_t index; // of the note in its segment
};

// A kernel of a newer minor layout may say more than is known here; it must not be ignored.
static enum elf_status check_unknown(const struct descriptor *desc,
                                     const struct slipway_note_wishes *wishes,
                                     struct elf_error *ret_error) {
    uint64_t at = __builtin_offsetof(struct slipway_note_wishes, reserved);
    bool zero = wishes->reserved == 0;
    for (uint64_t i = sizeof(*wishes); zero && i < desc->bytes; i++) {
        zero = desc->at[i] == 0;
        at = i;
    }
    if (!zero)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_UNKNOWN, .index = desc->index, .a = at);
    return ELF_OK;
}

static enum elf_status check_stack(const struct slipway_note_wishes *wishes, uint32_t index,
                                   struct elf_error *ret_error) {
    uint64_t bytes = wishes->stack_bytes;
    bool in_range = bytes >= ELF_STACK_MIN_BYTES && bytes <= ELF_STACK_MAX_BYTES;
    if (bytes != 0 && (!in_range || !is_aligned(bytes, ELF_STACK_MIN_BYTES)))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_STACK, .index = index, .a = bytes);
    return ELF_OK;
}

// Below SLIPWAY_WINDOW_BASE. Whether the machine's RAM fits between is not known here.
static enum elf_status check_hhdm(const struct slipway_note_wishes *wishes, uint32_t index,
                                  struct elf_error *ret_error) {
    uint64_t base = wishes->hhdm_base;
    uint64_t min = wishes->paging_levels == 5 ? UPPER_HALF_5LEVELS : UPPER_HALF_4LEVELS;
    uint64_t max = SLIPWAY_WINDOW_BASE - HHDM_ALIGN;
    if (base != 0 && (!is_aligned(base, HHDM_ALIGN) || base < min || base > max))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_HHDM, .index = index, .a = base, .b = min,
                        .c = max);
    return ELF_OK;
}

static enum elf_status parse_wishes(const struct descriptor *desc,
                                    struct slipway_note_wishes *ret_wishes,
                                    struct elf_error *ret_error) {
    struct slipway_note_wishes wishes = {0};
    uint32_t index = desc->index;
    if (desc->bytes < sizeof(wishes.version))
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_SHORT, .index = index, .a = desc->bytes);
    memcpy(&wishes, desc->at, min_u64(desc->bytes, sizeof(wishes)));
    if (wishes.version != SLIPWAY_BOOT_VERSION)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_VERSION, .index = index, .a = wishes.version,
                        .b = SLIPWAY_BOOT_VERSION);
    if ((wishes.flags & ~(uint32_t)SLIPWAY_NOTE_FRAMEBUFFER) != 0)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_FLAGS, .index = index, .a = wishes.flags);
    if (wishes.paging_levels != 0 && wishes.paging_levels != 4 && wishes.paging_levels != 5)
        return ELF_FAIL(ret_error, ELF_ERR_NOTE_LEVELS, .index = index, .a = wishes.paging_levels);
    enum elf_status status = check_unknown(desc, &wishes, ret_error);
    if (status == ELF_OK)
        status = check_stack(&wishes, index, ret_error);
    if (status == ELF_OK)
        status = check_hhdm(&wishes, index, ret_error);
    if (status == ELF_OK)
        *ret_wishes = wishes;
    return status;
}

static bool is_slipway(const struct elf64_note *note, const uint8_t *name) {
    return note->type == SLIPWAY_NOTE_TYPE && note->name_bytes == NAME_BYTES &&
           memcmp(name, NAME, NAME_BYTES) == 0;
}

enum elf_status elf_parse_note(const void *notes, uint64_t bytes, uint64_t align,
                               struct slipway_note_wishes *wishes, bool *found,
                               struct elf_error *ret_error) {
    const uint8_t *base = notes;
    struct slipway_note_wishes result;
    bool here = false;
    uint64_t at = 0;
    // Sizes are 32-bit and bytes is the size of memory, so the sums below cannot wrap. Trailing
    // padding may be shorter than a note.
    for (uint32_t index = 0; at < bytes && bytes - at >= sizeof(struct elf64_note); index++) {
        struct elf64_note note;
        memcpy(&note, base + at, sizeof(note));
        uint64_t name_at = at + sizeof(note);
        bool ours = note.name_bytes <= bytes - name_at && is_slipway(&note, base + name_at);
        // struct slipway_note is packed: no padding after the name, whatever its segment's
        // alignment.
        uint64_t desc_at = align_up(name_at + note.name_bytes, ours ? 4 : align);
        if (desc_at > bytes || note.desc_bytes > bytes - desc_at)
            return ELF_FAIL(ret_error, ELF_ERR_NOTE_TRUNCATED, .index = index, .a = at, .b = bytes);
        if (ours) {
            struct descriptor desc = {base + desc_at, note.desc_bytes, index};
            if (*found || here)
                return ELF_FAIL(ret_error, ELF_ERR_NOTE_TWICE, .index = index);
            enum elf_status status = parse_wishes(&desc, &result, ret_error);
            if (status != ELF_OK)
                return status;
            here = true;
        }
        at = align_up(desc_at + note.desc_bytes, align);
    }
    if (here) {
        *wishes = result;
        *found = true;
    }
    return ELF_OK;
}
