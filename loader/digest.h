// SHA-256 of files, by the CPU's own instructions where it has them.
#pragma once

#include "common/hash/sha256.h"
#include "loader/file.h"

// Takes blocks by SHA256RNDS2 and its like. Only for a CPU that has SHA and SSSE3.
sha256_blocks_f sha256_ni_blocks;

// Starts a digest, which sha256_add and sha256_end go on with.
void digest_begin(struct sha256 *hash);

// Reads the whole file to `destination` and its SHA-256 to `ret_digest`. One that is not the one
// wanted, if one is, is a recorded failure that names both.
[[nodiscard]] EFI_STATUS digest_read_file(struct file *file, void *destination,
                                          const struct config_digest *wanted,
                                          uint8_t ret_digest[SHA256_BYTES]);

// Whether the BLAKE2b of the contents, which lie at `contents`, is the one that `wanted` has in
// hexadecimal, 128 digits; or `wanted` is empty. Another one is a recorded failure that names both.
[[nodiscard]] EFI_STATUS digest_check_blake2b(const struct file *file, const void *contents,
                                              struct config_text wanted);
