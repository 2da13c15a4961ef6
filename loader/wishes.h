// Whether the machine has what is wanted of it: what the kernel wishes for in its note, and
// framebuffers where they can be mapped. Owns the words of these refusals.
#pragma once

#include "common/boot/slipway_boot.h"
#include "common/vmem/vmem.h"
#include "common/x86/features.h"
#include "loader/config.h"
#include "loader/displays.h"
#include "loader/memory_map.h"
#include "loader/plan.h"

#include <efi.h>

// Takes the framebuffers out of `displays` that cannot be mapped: displays are optional. `map` has
// been normalised. Each is named in the log with the reason. If they are to be in the
// direct map of `plan`, whose base is known, those are among them for which it has no room.
void wishes_leave_out_framebuffers(struct displays *displays, const struct plan_input *plan,
                                   const struct memory_map *map, struct vmem_cpu cpu);

// Decides how many paging levels the kernel's tables have: those of the config, those that the
// kernel asks for, or those that the firmware runs with, in this order. Failures are recorded: the
// CPU has no 5 levels, or config and kernel contradict each other.
[[nodiscard]] EFI_STATUS wishes_choose_levels(const struct slipway_note_wishes *wishes,
                                              const struct config *config,
                                              const struct cpu_features *features,
                                              unsigned *ret_levels);

// Decides where the direct map of RAM up to `ram_end` goes. Of `plan` image and window are read.
// Failures are recorded: it has no room where the kernel wants it or, beside the kernel, anywhere.
[[nodiscard]] EFI_STATUS wishes_choose_direct_map(const struct slipway_note_wishes *wishes,
                                                  const struct plan_input *plan, unsigned levels,
                                                  uint64_t ram_end, uint64_t *ret_base);

// Whether the machine has what the kernel asks for in its note. `map` has been normalised. Failures
// are recorded.
[[nodiscard]] EFI_STATUS wishes_check(const struct slipway_note_wishes *wishes,
                                      const struct memory_map *map,
                                      const struct displays *displays);
