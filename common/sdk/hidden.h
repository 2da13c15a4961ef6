// Included before everything else in the libraries' sources: whatever these declare is found in the
// program that they are linked to, so that no address comes from a table of the linker's. But for
// the functions that the program brings, which may be those of a shared C library.
#pragma once

#include "common/base/mem.h"

#pragma GCC visibility push(hidden)
