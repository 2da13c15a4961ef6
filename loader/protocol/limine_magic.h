// The words by which a kernel for the Limine protocol is known, and a fast test for them: every
// word of a kernel passes through it.
#pragma once

#include "common/limine/limine.h"

#include <stdbool.h>
#include <stdint.h>

// The bits in which the first words agree that only a kernel for Limine has: that of a request, of
// the marker before requests, of the tag with the base revision. One comparison rules out nearly
// all words.
#define LIMINE_ALL_SET   (LIMINE_MAGIC_0 & LIMINE_START_0 & LIMINE_TAG_0)
#define LIMINE_ALL_CLEAR (~(LIMINE_MAGIC_0 | LIMINE_START_0 | LIMINE_TAG_0))

// True if a request, a start marker or a tag begins with these two words.
static inline bool limine_is_magic(uint64_t first, uint64_t second) {
    return (first == LIMINE_MAGIC_0 && second == LIMINE_MAGIC_1) ||
           (first == LIMINE_START_0 && second == LIMINE_START_1) ||
           (first == LIMINE_TAG_0 && second == LIMINE_TAG_1);
}
