// A copy of the report of a failure, in memory that outlives a reset: the loader shows it at the
// next start and hands it over. common/crash/crash.h says what it is.
#pragma once

#include "common/base/fmt.h"

// Begins the copy. Returns a sink that writes to `shown` and to the copy; `shown` itself, if the
// loader has given no room, or boot_info has not been accepted. By the one CPU that
// reports: of a failure within a report the second goes on where the first was.
const struct sink *crash_begin_report(const struct sink *shown);

// The report has been written: what the caches hold of it goes to memory.
void crash_end_report(void);

// The report that the kernel before this one has left, with its time, on the console; or that there
// is none.
void crash_show(void);
