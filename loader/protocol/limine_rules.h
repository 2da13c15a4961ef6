// What the Limine protocol says of a kernel's image and of its address space, as rules for the ELF
// reader, the plan and the audit. Pure.
//
// In the direct map, by base revision (types of memory are the protocol's):
//
//   revision             0          1, 2            3              4            5, 6
//   below 4 GiB          all        all             by type        by type      by type
//   above, of type       any        all but 1, 4    0, 5, 6        and 2, 3     and 2, 3
//   tables elsewhere     -          -               -              ACPI's       all
//   runtime services     as type 1  as type 1       as type 1      as type 1    mapped (type 8)
//   identity map         yes        no              no             no           no
//
// and framebuffers (type 7) in each. The protocol makes all of it executable and writable. Here it
// is not executable, and read-only where the kernel's read-only pages lie, unless the kernel's
// entry in the configuration says `strict = off`. The firmware's runtime services, of type 1 below
// revision 5, are memory of no type that is mapped by type.
#pragma once

#include "common/audit/space_rules.h"
#include "loader/elf.h"

// Of every base revision.
extern const struct elf_rules limine_elf_rules;

// The rules of a base revision: those of the highest one that is known where it is higher.
// `is_lax`: strict = off.
struct space_rules limine_space_rules(uint64_t base_revision, bool is_lax);
