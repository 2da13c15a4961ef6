// Internal modules: see limine_requests.h.
#include "loader/protocol/limine_requests.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "loader/protocol/limine_image.h"
#include "loader/utf.h"

// The text at `virt`, up to its NUL. An error has the status of that text.
static struct limine_error read_text(const struct limine_image *image, uint64_t virt,
                                     enum limine_status status, struct config_text *ret_text) {
    uint64_t left = min_u64(limine_image_left(image, virt), LIMINE_TEXT_MAX_BYTES);
    const char *text = (const char *)limine_image_at(image, left == 0 ? image->start : virt);
    uint64_t bytes = 0;
    while (bytes < left && text[bytes] != '\0')
        bytes++;
    if (bytes == left)
        return (struct limine_error){.status = status,
                                     .a = virt,
                                     .b = LIMINE_TEXT_MAX_BYTES,
                                     .c = image->start,
                                     .d = image->end};
    uint64_t invalid = utf8_find_invalid(text, bytes);
    if (invalid != bytes)
        return (struct limine_error){
            .status = LIMINE_ERR_UTF8, .a = virt + invalid, .b = (uint8_t)text[invalid]};
    *ret_text = (struct config_text){text, bytes};
    return (struct limine_error){0};
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

// A digest at the end of the path goes to *digest.
static void cut_digest(struct config_text *path, struct config_text *digest) {
    if (path->bytes <= LIMINE_HASH_DIGITS)
        return;
    uint64_t mark = path->bytes - LIMINE_HASH_DIGITS - 1;
    if (path->text[mark] != '#')
        return;
    for (uint64_t i = mark + 1; i < path->bytes; i++)
        if (!is_hex(path->text[i]))
            return;
    *digest = (struct config_text){path->text + mark + 1, LIMINE_HASH_DIGITS};
    path->bytes = mark;
}

static struct limine_error read_module(const struct limine_image *image, uint64_t virt,
                                       struct limine_module *module) {
    struct limine_internal_module raw;
    if (limine_image_left(image, virt) < sizeof(raw))
        return (struct limine_error){
            .status = LIMINE_ERR_MODULE, .a = virt, .c = image->start, .d = image->end};
    __builtin_memcpy(&raw, limine_image_at(image, virt), sizeof(raw));
    module->is_required = (raw.flags & LIMINE_MODULE_REQUIRED) != 0;
    module->is_compressed = (raw.flags & LIMINE_MODULE_COMPRESSED) != 0;
    struct limine_error error = read_text(image, raw.path, LIMINE_ERR_PATH, &module->path);
    if (error.status == LIMINE_OK)
        cut_digest(&module->path, &module->digest);
    if (error.status == LIMINE_OK && raw.string != 0)
        error = read_text(image, raw.string, LIMINE_ERR_STRING, &module->string);
    return error;
}

enum limine_status limine_read_module(const struct limine_requests *requests,
                                      const struct elf_image *image,
                                      const struct elf_memory *memory, uint64_t index,
                                      struct limine_module *ret_module,
                                      struct limine_error *ret_error) {
    ASSERT(index < requests->internal_count);
    const struct limine_image whole = limine_image_of(image, memory);
    struct limine_module module = {.digest = {"", 0}, .string = {"", 0}};
    uint64_t virt = limine_image_word(&whole, requests->internals + index * sizeof(uint64_t));
    struct limine_error error = read_module(&whole, virt, &module);
    error.index = index;
    if (error.status == LIMINE_OK)
        *ret_module = module;
    else
        *ret_error = error;
    return error.status;
}
