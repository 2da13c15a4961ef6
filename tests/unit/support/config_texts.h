// Texts of slipway.conf that are accepted, or refused with a message.
#pragma once

#include "loader/config.h"

#include <stdint.h>

// A text in a heap block of exactly its size.
char *config_exact(const char *text, uint64_t bytes);

// Room for what a text may name, and no more; freed by the next call.
struct config_room config_room_for(uint64_t bytes);

// What an accepted text says. It points into `text` and `room`.
struct config_file config_accept(const char *text, struct config_room room);

// Asserts that the text is refused, with this message, and that the result is untouched.
void config_refuse_bytes(const char *text, uint64_t bytes, enum config_status want,
                         const char *message);
void config_refuse(const char *text, enum config_status want, const char *message);

void config_expect_text(struct config_text text, const char *want);
