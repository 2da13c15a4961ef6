// In every scenario the memory map grows before any call that looks at it, and the key of the map
// is stale.
#include "tests/firmware/faults/faults.h"

#define GROW(id)                                                                                   \
    TEST_NUMBERED("faults: whenever the map grows: " #id, grow_##id) {                             \
        faults_grow_map(&faults_##id);                                                             \
    }
FAULTS_SCENARIOS(GROW)

#define REFUSE(id)                                                                                 \
    TEST_NUMBERED("faults: however often the key is stale: " #id, refuse_##id) {                   \
        faults_refuse_exit(&faults_##id);                                                          \
    }
FAULTS_SCENARIOS(REFUSE)
