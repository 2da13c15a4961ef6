// Whether the machine has what is wanted of it: what the kernel wishes for in its note, and
// framebuffers where they can be mapped. Owns the words of these refusals.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/vmem/vmem.h"
#include "loader/devices.h"
#include "loader/memory_map.h"

#include <efi.h>

// Takes the framebuffers out of `devices` that cannot be mapped: displays are optional. `map` has
// been normalised. Each is named in the log with the reason.
void wishes_leave_out_framebuffers(struct devices *devices, const struct memory_map *map,
                                   struct vmem_cpu cpu);

// Whether the machine has what the kernel asks for in its note. `map` has been normalised;
// `paging_levels`: those in use. Failures are recorded.
[[nodiscard]] EFI_STATUS wishes_check(const struct slipway_note_wishes *wishes,
                                      const struct memory_map *map, unsigned paging_levels,
                                      const struct devices *devices);
