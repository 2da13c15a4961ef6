// See protocol.h.
#include "loader/protocol/protocol.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/config_file.h"
#include "loader/elf.h"
#include "loader/log.h"
#include "loader/protocol/pe.h"

#define ELF_MAGIC                                                                                  \
    "\x7f"                                                                                         \
    "ELF"

enum {
    MAGIC_BYTES = sizeof(ELF_MAGIC) - 1,
    SHOWN_BYTES = 8, // of a file that nobody knows
};

static bool is_elf(const void *head, uint64_t bytes) {
    return bytes >= MAGIC_BYTES && memcmp(head, ELF_MAGIC, MAGIC_BYTES) == 0;
}

bool protocol_is_image(enum config_protocol protocol) {
    return protocol == CONFIG_PROTOCOL_EFI || protocol == CONFIG_PROTOCOL_LINUX;
}

void protocol_print_found(const struct sink *sink, const void *head, uint64_t bytes) {
    struct elf_error origin;
    struct linux_header header;
    struct pe pe;
    if (bytes == 0) {
        fmt_print(sink, "an empty file");
    } else if (is_elf(head, bytes)) {
        fmt_print(sink, "an ELF file");
    } else if (pe_parse(head, bytes, &pe)) {
        fmt_print(sink, "a PE file without Linux's header");
    } else if (linux_parse(head, bytes, &header)) {
        fmt_print(sink, "a Linux kernel (bzImage) without an EFI stub (CONFIG_EFI_STUB)");
    } else if (elf_find_origin(head, bytes, 0, &origin)) {
        elf_error_print(sink, &origin);
    } else {
        fmt_print(sink, "an unknown file that begins with");
        for (uint64_t at = 0; at < min_u64(bytes, SHOWN_BYTES); at++)
            fmt_print(sink, " %02x", ((const uint8_t *)head)[at]);
    }
}

static EFI_STATUS refuse(const struct protocol_file *opened) {
    char text[200];
    struct fmt_buffer buffer = fmt_buffer_make(text, sizeof(text));
    struct sink sink = fmt_buffer_sink(&buffer);
    protocol_print_found(&sink, opened->head, opened->head_bytes);
    return log_fail(EFI_LOAD_ERROR, "%s: neither an ELF nor a PE file; found: %s",
                    opened->file.name, text);
}

static EFI_STATUS choose(struct config *config, const struct protocol_file *opened) {
    struct linux_header header;
    struct pe pe;
    uint64_t bytes = opened->head_bytes;
    if (config->protocol != CONFIG_PROTOCOL_UNSET || bytes < MAGIC_BYTES ||
        is_elf(opened->head, bytes))
        return EFI_SUCCESS;
    if (!pe_parse(opened->head, bytes, &pe))
        return refuse(opened);
    bool is_linux = linux_parse(opened->head, bytes, &header);
    config->protocol = is_linux ? CONFIG_PROTOCOL_LINUX : CONFIG_PROTOCOL_EFI;
    return EFI_SUCCESS;
}

EFI_STATUS protocol_open(struct config *config, struct protocol_file *ret_opened) {
    struct protocol_file *opened = ret_opened;
    struct file *file = &opened->file;
    const char *where = config_file_where("kernel", config->kernel_line);
    EFI_STATUS status = file_open(file, config->kernel, where);
    if (status == EFI_NOT_FOUND)
        return log_fail(status, "%s: not found%s", file->name, where);
    if (EFI_ERROR(status))
        return status;
    opened->head_bytes = min_u64(file->bytes, sizeof(opened->head));
    status = file_read(file, 0, opened->head, opened->head_bytes);
    if (!EFI_ERROR(status))
        status = choose(config, opened);
    if (EFI_ERROR(status))
        file_close(file);
    return status;
}
