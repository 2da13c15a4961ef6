// See kernel_note.h.
#include "loader/kernel_note.h"

#include "common/base/arith.h"
#include "common/base/mem.h"
#include "loader/firmware.h"
#include "loader/log.h"

enum {
    SCRATCH_BYTES = 4096, // for notes and section headers that lie outside of the image
    STACK_BYTES_DEFAULT = 64 << 10,
};

// The file, as the ELF reader reads it: a part goes to scratch memory, or to pages if it is too
// much for that. `phys` are those of the last part, or 0.
struct file_reader {
    struct file *file;
    uint64_t phys;
    EFI_STATUS status;
    char scratch[SCRATCH_BYTES];
};

static const void *read_part(void *context, uint64_t offset, uint64_t bytes, const char *what) {
    struct file_reader *reader = context;
    void *part = reader->scratch;
    firmware_free_pages(reader->phys);
    reader->phys = 0;
    if (bytes > sizeof(reader->scratch)) {
        reader->status =
            firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_LOADER, &reader->phys);
        if (EFI_ERROR(reader->status)) {
            reader->status =
                log_fail(reader->status, "%s: no room for %lu bytes of %s at offset %lu (%s)",
                         reader->file->name, bytes, what, offset, log_status_text(reader->status));
            return NULL;
        }
        part = firmware_pointer(reader->phys);
    }
    reader->status = file_read(reader->file, offset, part, bytes);
    return EFI_ERROR(reader->status) ? NULL : part;
}

// A reader that has read nothing, to be ended with end_reading.
static struct elf_reader begin_reading(struct file *file) {
    static struct file_reader reader;
    reader.file = file;
    reader.phys = 0;
    return (struct elf_reader){read_part, &reader, file->bytes};
}

// What came of it: `error` is that of the ELF reader if `status` says that there is one.
static EFI_STATUS end_reading(const struct elf_reader *elf_reader, enum elf_status status,
                              const struct elf_error *error) {
    const struct file_reader *reader = elf_reader->context;
    firmware_free_pages(reader->phys);
    if (status == ELF_ERR_READ)
        return reader->status;
    return status == ELF_OK ? EFI_SUCCESS : kernel_refuse(reader->file, error, NULL);
}

EFI_STATUS kernel_find_wishes(struct file *file, const struct elf_memory *memory,
                              struct kernel *kernel) {
    struct elf_error error;
    const struct elf_reader reader = begin_reading(file);
    enum elf_status status = elf_find_wishes(&kernel->header, &kernel->elf, memory, &reader,
                                             &kernel->wishes, &kernel->has_note, &error);
    if (kernel->wishes.stack_bytes == 0)
        kernel->wishes.stack_bytes = STACK_BYTES_DEFAULT;
    return end_reading(&reader, status, &error);
}

EFI_STATUS kernel_find_section(struct file *file, const struct kernel *kernel, const char *name,
                               struct elf_section *ret_section) {
    struct elf_error error;
    const struct elf_reader reader = begin_reading(file);
    enum elf_status status = elf_find_section(&kernel->header, &reader, name, ret_section, &error);
    return end_reading(&reader, status, &error);
}

// A table of names is one only if a NUL ends it.
static bool is_sound(const struct kernel_part *names) {
    const char *bytes = firmware_pointer(names->phys);
    return names->bytes != 0 && bytes[names->bytes - 1] == '\0';
}

static void check_parts(const struct file *file, struct kernel_symbols *symbols) {
    if (!is_sound(&symbols->section_names))
        symbols->section_names.bytes = 0;
    if (!is_sound(&symbols->symbol_names))
        symbols->symbol_names.bytes = symbols->symbols.bytes = 0;
    if (symbols->symbols.bytes == 0)
        log_line(CONFIG_LOG_INFO, "%s: has no %s, which its note asks for", file->name,
                 symbols->sections.bytes == 0 ? "section headers and symbols" : "symbols");
}

EFI_STATUS kernel_read_symbols(struct file *file, struct kernel *kernel) {
    struct elf_error error;
    struct elf_symbols found;
    struct kernel_symbols *symbols = &kernel->symbols;
    if ((kernel->wishes.flags & SLIPWAY_NOTE_SYMBOLS) == 0)
        return EFI_SUCCESS;
    const struct elf_reader reader = begin_reading(file);
    enum elf_status elf_status = elf_find_symbols(&kernel->header, &reader, &found, &error);
    EFI_STATUS status = end_reading(&reader, elf_status, &error);
    if (EFI_ERROR(status))
        return status;
    const struct {
        const struct elf_range *from;
        struct kernel_part *to;
    } parts[] = {{&found.sections, &symbols->sections},
                 {&found.symbols, &symbols->symbols},
                 {&found.section_names, &symbols->section_names},
                 {&found.symbol_names, &symbols->symbol_names}};
    uint64_t bytes = 0, phys = 0;
    for (uint32_t i = 0; i < ARRAY_LEN(parts); i++)
        bytes += align_up(parts[i].from->bytes, 8);
    if (bytes != 0)
        status = firmware_alloc_pages(bytes, FRAME_BYTES, SLIPWAY_RANGE_SYMBOLS, &phys);
    if (EFI_ERROR(status))
        return log_fail(status, "%s: no room for %lu bytes of symbols (%s)", file->name, bytes,
                        log_status_text(status));
    for (uint32_t i = 0; i < ARRAY_LEN(parts) && !EFI_ERROR(status); i++) {
        *parts[i].to = (struct kernel_part){phys, parts[i].from->bytes};
        status = file_read(file, parts[i].from->file_offset, firmware_pointer(phys),
                           parts[i].from->bytes);
        phys += align_up(parts[i].from->bytes, 8);
    }
    if (!EFI_ERROR(status))
        check_parts(file, symbols);
    return status;
}
