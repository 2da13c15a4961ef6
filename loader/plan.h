// Decides what the kernel's address space will be, as the manifest: every range that is mapped, in
// rising virtual order. The tables are counted from it, built from it and audited against it. Pure.
//
// The upper half, from below:
//
//   hhdm_base        direct map: all RAM, RW; read-only where the kernel's read-only pages lie
//   window_base      a guard page, the boot stack, a guard page,
//                    the loader's image (fault handler, GDT, TSS, IDT),
//                    a guard page, and the stacks of other CPUs with one above each
//   + 64 GiB * n     framebuffer n - 1, from 1 to 7
//   + 64 GiB * 8     what of the firmware's tables is not in the direct map, read-only
//                    the kernel where its program headers put it
//
// The kernel may lie anywhere in the upper half. Where it takes the place of the window or of the
// direct map, these give way, and the order is another. With SLIPWAY_NOTE_DIRECT all stacks and
// framebuffers are in the direct map instead, at their physical addresses. Nothing takes their
// place in the window.
//
// With the rules of another protocol the direct map is what they say (space_rules.h), stacks and
// framebuffers are in it, and so are tables of the firmware's, if any are mapped. It may be in the
// lower half once more, one to one.
#pragma once

#include "common/audit/space_rules.h"
#include "common/boot/slipway_boot.h"
#include "common/memmap/memmap.h"
#include "common/mtrr/mtrr_map.h"
#include "common/vmem/plan.h"
#include "common/vmem/vmem.h"
#include "loader/elf.h"

#include <stdint.h>

#define PLAN_FRAMEBUFFERS_MAX 7

// A larger image could meet both of the window's places.
#define PLAN_IMAGE_BYTES_MAX ((uint64_t)SLIPWAY_WINDOW_BYTES)

// A framebuffer of this size ends below the next one, whatever its offset within 1 GiB.
#define PLAN_FRAMEBUFFER_BYTES_MAX (UINT64_C(63) << 30)

// So many ranges of the firmware's pages, and bytes in all of them.
#define PLAN_FIRMWARE_MAX       64
#define PLAN_FIRMWARE_BYTES_MAX (UINT64_C(64) << 20)

// Pages that hold tables of the firmware's. Frame aligned.
struct plan_firmware {
    uint64_t start;
    uint64_t end;
    uint16_t cache; // SLIPWAY_CACHE_...
};

// The loader's own image in memory. Its pages before text_start are read-only, [text_start,
// text_end) executable, the rest writable. Byte offsets from its start, page aligned.
struct plan_loader_image {
    uint64_t phys;
    uint64_t bytes;
    uint64_t text_start;
    uint64_t text_end;
};

struct plan_input {
    struct space_rules rules;            // all zero: Slipway's; else is_direct is set too
    const struct memmap_region *regions; // sorted; those with `direct` make the direct map
    uint64_t region_count;
    uint64_t hhdm_base;
    uint64_t window_base;
    bool is_direct; // SLIPWAY_NOTE_DIRECT: guards and framebuffers must not be RAM in `regions`
    const struct elf_image *elf;
    const struct slipway_piece *pieces; // of the kernel's image, rising virtually and physically
    uint32_t piece_count;
    uint64_t stack_phys;
    uint64_t stack_bytes;
    struct plan_loader_image loader;
    uint32_t other_cpus;        // that have stacks of the same size,
    uint64_t other_stacks_phys; // one after the other, is_direct: a guard between
    const struct slipway_framebuffer *framebuffers; // address_phys and bytes are read
    uint32_t framebuffer_count;                     // PLAN_FRAMEBUFFERS_MAX at most
    // Rising, disjoint. Of each page the address depends on this list alone, so that it stays what
    // it is when RAM changes. A gap between two ranges is an unmapped page.
    const struct plan_firmware *firmware;
    uint32_t firmware_count; // PLAN_FIRMWARE_MAX at most
};

// Where the window lies, by the kernel's image alone, of PLAN_IMAGE_BYTES_MAX at most: at its
// default place if the image leaves it free.
uint64_t plan_choose_window(const struct elf_image *elf);

// Where a direct map of `bytes` lies, by the kernel's image and the window: at the place `wish`, or
// without a wish (0) at its default place or, if that is not free, at the lowest one that is. 0:
// there is no such place. Multiples of 512 GiB.
uint64_t plan_choose_direct_map(const struct plan_input *input, uint64_t wish, uint64_t bytes,
                                unsigned levels);

// Bytes from the direct map's base that nothing else takes.
uint64_t plan_direct_map_room(const struct plan_input *input);

// Lowest byte of the boot stack.
uint64_t plan_stack_bottom(const struct plan_input *input);

// Where the loader's image is mapped.
uint64_t plan_loader_virt(const struct plan_input *input);

// Lowest byte of the stack of another CPU, `index` from 0 on.
uint64_t plan_other_stack_bottom(const struct plan_input *input, uint32_t index);

// The frames that nothing maps: with is_direct, one below and one above each stack, those of the
// boot CPU first. Rising in each of the two runs of memory with stacks, where they are the
// loader's.
uint64_t plan_guard_count(const struct plan_input *input);

// Whether there are any: stacks in the direct map, by rules that give them guards.
bool plan_has_guards(const struct plan_input *input);
uint64_t plan_guard_phys(const struct plan_input *input, uint64_t index);

// Where the first byte of framebuffer `index` is mapped.
uint64_t plan_framebuffer_virt(const struct plan_input *input, uint32_t index);

// Upper bound of the number of parts that runs and pieces cut the kernel into.
uint64_t plan_kernel_parts(const struct plan_input *input);

// Upper bound of the number of mappings for this many regions, by the input's image, pieces, other
// CPUs and rules.
uint64_t plan_mapping_bound(const struct plan_input *input, uint64_t region_count);

// Where the direct map ends, framebuffers aside, as an offset from its base. `ram_end`: end of the
// highest region with `direct`.
uint64_t plan_direct_map_end(const struct plan_input *input, uint64_t ram_end);

// Writes the manifest to `mappings` (room for plan_mapping_bound) and returns its length.
// Neighbours that could be one mapping are one.
uint64_t plan_make_manifest(const struct plan_input *input, struct slipway_mapping *mappings);

// A manifest, and how tables are made of it.
struct plan_list {
    const struct slipway_mapping *mappings;
    uint64_t count;
    bool has_no_global; // see space_rules.h
    // Not null: a leaf may span mappings that differ by their purposes alone. No leaf spans memory
    // of two types by these registers, for which the CPU promises nothing (Intel SDM 3A 11.11.9).
    const struct mtrr_map *mtrrs;
};

// The list for these rules: by those of another protocol leaves may span RAM and the rest.
// `mtrrs`: of this machine. Nothing is known of one whose map is empty.
static inline struct plan_list plan_list_of(const struct space_rules *rules,
                                            const struct slipway_mapping *mappings, uint64_t count,
                                            const struct mtrr_map *mtrrs) {
    bool may_join = space_has_rules(rules) && mtrrs->count != 0;
    struct plan_list list = {mappings, count, rules->has_no_global, may_join ? mtrrs : NULL};
    return list;
}

// Counts tables and leaves for a manifest. Errors: those of vmem_plan_add; *ret_index then names
// the mapping.
[[nodiscard]] enum vmem_status plan_count_tables(const struct plan_list *list, struct vmem_cpu cpu,
                                                 unsigned levels, struct vmem_plan *ret_plan,
                                                 uint64_t *ret_index);

// Maps the manifest. Errors: those of vmem_map; *ret_index then names the mapping.
[[nodiscard]] enum vmem_status plan_build_tables(struct vmem *space, const struct plan_list *list,
                                                 uint64_t *ret_index);

struct plan_range {
    uint64_t start; // physical addresses
    uint64_t end;
};

// RAM of the plan's regions that is to be in the direct map and, by the manifest, is not. Writes
// the first `capacity` ranges and returns how many there are.
uint64_t plan_find_unmapped(const struct plan_input *input, const struct slipway_mapping *mappings,
                            uint64_t count, struct plan_range *ret_ranges, uint64_t capacity);

// RAM of the plan's regions that the MTRRs do not make write-back; the same way.
uint64_t plan_find_uncached(const struct plan_input *input, const struct mtrr_map *mtrrs,
                            struct plan_range *ret_ranges, uint64_t capacity);

// The reverse of plan_find_unmapped: ranges of the manifest's direct map that are RAM there, and
// that the plan's regions do not have in it. What is no RAM in the manifest is in neither answer:
// with rules only the same manifest again tells that nothing has changed.
uint64_t plan_find_stale(const struct plan_input *input, const struct slipway_mapping *mappings,
                         uint64_t count, struct plan_range *ret_ranges, uint64_t capacity);
