// BLAKE2b with a digest of 64 bytes and without a key (RFC 7693). Pure and without allocation.
#pragma once

#include <stdint.h>

#define BLAKE2B_BYTES 64

// The digest of one message of `bytes` bytes, any number, that lies in memory.
void blake2b(const void *data, uint64_t bytes, uint8_t ret_digest[BLAKE2B_BYTES]);
