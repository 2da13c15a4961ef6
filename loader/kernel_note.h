// What the kernel asks for: its wishes, found in its file, and the symbols that it may wish for.
#pragma once

#include "loader/file.h"
#include "loader/kernel_file.h"

#include <efi.h>

// Finds the wishes of the kernel whose image stands in `memory`, not yet relocated, and fills in
// the defaults: kernel->wishes, kernel->has_note. Failures are recorded.
[[nodiscard]] EFI_STATUS kernel_find_wishes(struct file *file, const struct elf_memory *memory,
                                            struct kernel *kernel);

// Reads what SLIPWAY_NOTE_SYMBOLS brings, if the kernel wishes for it, into pages of purpose
// SLIPWAY_RANGE_SYMBOLS: kernel->symbols. Parts that the file does not have are in the log.
// Failures are recorded.
[[nodiscard]] EFI_STATUS kernel_read_symbols(struct file *file, struct kernel *kernel);

// Finds the section of this name by the file's section headers, as elf_find_section does. Failures
// are recorded.
[[nodiscard]] EFI_STATUS kernel_find_section(struct file *file, const struct kernel *kernel,
                                             const char *name, struct elf_section *ret_section);
