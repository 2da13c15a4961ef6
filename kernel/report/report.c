#include "kernel/report/report.h"

#include "kernel/report/found.h"

struct report_found report_found;

void report_prepare(const struct report_results *results) {
    report_found.results = *results;
    report_found.direct_map = direct_map_measure();
}
