// Every read is short, empty, oversized and slow, alone and with all that follow it, in every
// scenario: of a file, of a folder, from a server.
#include "tests/firmware/faults/faults.h"

#define TEST_OF(id)                                                                                \
    TEST_NUMBERED("faults: whichever read is odd: " #id, id) {                                     \
        faults_spoil_reads(&faults_##id);                                                          \
    }
FAULTS_SCENARIOS(TEST_OF)
