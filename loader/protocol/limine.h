// A kernel of the Limine protocol: what it asks for becomes what the rest of the loader does for
// every kernel. The responses are those of limine_responses.h.
#pragma once

#include "common/x86/features.h"
#include "loader/config.h"
#include "loader/kernel_file.h"

#include <efi.h>

// Finds the requests of the kernel, whose image stands in memory, relocated, and makes them its
// wishes, its entry and its rules. Reads its file as a whole if it asks for that. Failures are
// recorded.
[[nodiscard]] EFI_STATUS limine_read_kernel(struct file *file, const struct config *config,
                                            struct kernel *kernel);

// Puts the modules that the kernel asks for before those of the config, in a list of the loader's
// pages. One that is not there and is not required is left out. Before modules_load, while volumes
// are open. Failures are recorded.
[[nodiscard]] EFI_STATUS limine_list_modules(const struct kernel *kernel, struct config *config);

// Decides how many paging levels the kernel's tables have: those of the config if the kernel's
// bounds allow them, else the kernel's. Failures are recorded.
[[nodiscard]] EFI_STATUS limine_choose_paging(const struct kernel *kernel,
                                              const struct config *config,
                                              const struct cpu_features *features,
                                              unsigned *ret_levels);

// Records the reason, behind the name of who is refused.
EFI_STATUS limine_refuse(const char *name, const struct limine_error *error);
