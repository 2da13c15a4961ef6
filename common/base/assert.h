// What a function relies on and does not check: the caller's promise, or an invariant.
//
//     ASSERT(arena->lock != 0);
//
// With SLIPWAY_DEBUG defined (make DEBUG=1, and always in host tests, fuzzers and mutation) a
// condition that is false traps at its place: SIGILL on the host, a fault report with the place in
// a kernel. Without it the condition is compiled and never evaluated. Input from outside is checked
// in every build, and never by this. Not for public headers: those of others have this name, too.
// gnu-efi's is in <efilib.h>, which nothing here includes (scripts/check-layers).
#pragma once

#ifdef SLIPWAY_DEBUG
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)
#else
#define ASSERT(condition) ((void)(0 && (condition)))
#endif
