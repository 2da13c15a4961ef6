// Which CPU has failed, and where the others were when that stopped them.
#pragma once

#include "common/base/fmt.h"
#include "common/x86/trap.h"

// An NMI has come to this CPU, which may be the one that stops it.
void others_note(const struct trap_frame *frame);

// Prints which CPU reports, and for which process it ran.
void others_print_self(const struct sink *sink);

// Prints a line for each CPU but the one that reports, which calls this after cpus_stop_others: of
// many CPUs for the first few.
void others_print(const struct sink *sink);
