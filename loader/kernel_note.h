// What the kernel asks for: its wishes, found in its file.
#pragma once

#include "loader/file.h"
#include "loader/kernel_file.h"

#include <efi.h>

// Finds the wishes of the kernel whose image stands in `memory`, not yet relocated, and fills in
// the defaults: kernel->wishes, kernel->has_note. Failures are recorded.
[[nodiscard]] EFI_STATUS kernel_find_wishes(struct file *file, const struct elf_memory *memory,
                                            struct kernel *kernel);
