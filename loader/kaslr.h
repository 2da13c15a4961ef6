// KASLR: puts image and direct map of a kernel at random places, where its file, its note, the
// configuration and the machine allow it (slipway_boot.h, SLIPWAY_NOTE_KASLR). Owns the decision,
// the generator of this boot and its seed, and the words in the log.
//
// The seed is of the firmware's generator, RDSEED and RDRAND. Without any of them nothing is moved:
// times alone are no seed. Where nothing may move, nothing is gathered and nothing hashed.
#pragma once

#include "loader/config.h"
#include "loader/kernel_file.h"
#include "loader/places.h"
#include "loader/plan.h"

#include <stdint.h>

// Begins anew, and moves the image to its place: kernel->elf and its pieces. The image stands in
// memory, not yet relocated, and its protocol is known. Needs the boot services; no failure stops
// the boot.
void kaslr_move_image(const struct config *config, struct kernel *kernel);

// The place of the direct map. `plan` has all but its final base: hhdm_base is the one that it has
// without KASLR, and stays if nothing else is allowed or possible. `bytes`: where the direct map
// ends, from its base on. Ends the generator, whose state is forgotten. As above.
uint64_t kaslr_place_direct_map(const struct kernel *kernel, const struct plan_input *plan,
                                uint64_t bytes, unsigned levels);

// Since kaslr_move_image: the places of either, one of which is drawn if there are two and a
// source. Without any, all 0, it stays where it is.
struct places kaslr_image_places(const struct kernel *kernel);
struct places kaslr_direct_places(const struct kernel *kernel, const struct plan_input *plan,
                                  uint64_t bytes, unsigned levels);

// What has become of it since kaslr_move_image.
const struct slipway_kaslr *kaslr_facts(void);
