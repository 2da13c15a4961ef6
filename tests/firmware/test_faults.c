// Every call of the firmware fails in every way, once, with all that follow it, and with those of
// its kind, in every scenario.
#include "tests/firmware/faults/faults.h"

#define TEST_OF(id)                                                                                \
    TEST_NUMBERED("faults: whichever call fails: " #id, id) {                                      \
        faults_fail_calls(&faults_##id);                                                           \
    }
FAULTS_SCENARIOS(TEST_OF)
