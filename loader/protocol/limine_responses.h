// The responses to a kernel of the Limine protocol, made of boot_info when that is complete. Owns
// the block of memory with them.
#pragma once

#include "loader/cpus.h"
#include "loader/info.h"

#include <efi.h>

#include <stdint.h>

// Where the responses go.
struct limine_room {
    uint64_t phys;
    uint64_t bytes;
};

// Allocates that block, no more than it needs; where CPUs are to look in it there are zeroes.
// Failures are recorded.
[[nodiscard]] EFI_STATUS limine_make_room(const struct info_capacity *capacity,
                                          const struct info_known *known, const struct cpus *cpus,
                                          struct limine_room *ret_room);

// Has the parked CPUs wait for the words in their responses.
void limine_watch(const struct limine_room *room, const struct cpus *cpus, uint64_t hhdm_base);

// Writes the responses, when boot_info is complete. After the exit, under the firmware's identity
// mapping. Failures are recorded; the kernel must then not be entered.
[[nodiscard]] EFI_STATUS limine_finish(const struct limine_room *room,
                                       const struct info_known *known, const struct info *info);
