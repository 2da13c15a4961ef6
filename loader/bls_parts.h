// What the files of bls.h share.
#pragma once

#include "loader/bls.h"

// The parts of an entry's room, one after the other.
struct bls_room_parts {
    struct config_module *initrds;
    char *texts; // where the next text goes
};

struct bls_room_parts bls_make_room(void *start, uint64_t text_bytes);

// Sets file, name and is_spent by the path, which has a name with a suffix.
void bls_set_name(struct bls_entry *entry, struct bls_room_parts *room, struct config_text path);
