// A kernel of the Limine protocol on the fake volume, and what it finds.
#pragma once

#include "common/limine/limine.h"
#include "tests/firmware/setup.h"

// Where the kernel's requests begin: in its writable data.
#define SETUP_LIMINE_REQUESTS (ELF_FILE_BASE + 0x2000)

// Makes the kernel of setup_boot one of this base revision, without requests.
void setup_limine(uint64_t base_revision);

// Appends `bytes` bytes to the kernel's data, at a multiple of 8. Returns their address in the
// kernel.
uint64_t setup_limine_add(const void *data, uint64_t bytes);

// Appends a request of this kind with `words` more words; returns where its response will be told.
uint64_t setup_limine_ask(enum limine_request_kind kind, uint64_t revision, uint32_t words,
                          const uint64_t *more);

// Asserts that a kernel of the protocol was entered as it says, with nothing in RDI.
void setup_limine_expect_kernel(void);

// Where the bytes at an address of the kernel's space are, which are mapped.
const void *setup_limine_at(uint64_t virt);

// The response that was told at `where`, or null.
const void *setup_limine_response(uint64_t where);
