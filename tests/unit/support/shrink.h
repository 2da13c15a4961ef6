// Makes a failing list of operations short: leaves out ever smaller pieces as long as what remains
// still fails (Zeller, Hildebrandt: Simplifying and isolating failure-inducing input, 2002).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// One operation, as random bytes that the test decodes. Each means something on its own, so that
// any sublist is a test.
struct shrink_operation {
    uint8_t bytes[16];
};

// Whether the list still fails.
typedef bool (*shrink_fails)(void *argument, const struct shrink_operation *list, unsigned count);

// Shortens the failing list in place until no single operation can be left out. Returns its length.
static inline unsigned shrink_list(struct shrink_operation *list, unsigned count,
                                   shrink_fails fails, void *argument) {
    struct shrink_operation *shorter = calloc(count, sizeof(*list));
    for (unsigned piece = count; piece != 0;) {
        bool has_shrunk = false;
        for (unsigned at = 0; at < count;) {
            unsigned left_out = piece < count - at ? piece : count - at;
            memcpy(shorter, list, at * sizeof(*list));
            memcpy(shorter + at, list + at + left_out, (count - at - left_out) * sizeof(*list));
            if (fails(argument, shorter, count - left_out)) {
                count -= left_out;
                memcpy(list, shorter, count * sizeof(*list));
                has_shrunk = true;
            } else {
                at += left_out;
            }
        }
        if (piece > 1 || !has_shrunk) // the last round again until nothing more goes
            piece /= 2;
    }
    free(shorter);
    return count;
}
