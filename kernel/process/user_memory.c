#include "kernel/process/user_memory.h"

#include "common/x86/regs.h"
#include "kernel/cpus/user.h"

static bool may(struct user_space *space, uint64_t address, uint64_t bytes, unsigned rights) {
    return address < USER_END && bytes <= USER_END - address &&
           user_space_allows(space, address, bytes, rights);
}

// Each time the copy begins anew: a page that is there stays there.
static bool copy(struct user_space *space, void *to, const void *from, uint64_t bytes,
                 uint64_t error) {
    uint64_t fault;
    while (!user_copy(to, from, bytes, &fault)) {
        if (user_space_fault(space, fault, error) != USER_SPACE_OK)
            return false;
    }
    return true;
}

bool user_memory_read(struct user_space *space, void *to, uint64_t from, uint64_t bytes) {
    return bytes == 0 || (may(space, from, bytes, VMEM_READ) &&
                          copy(space, to, (const void *)(uintptr_t)from, bytes, 0));
}

bool user_memory_write(struct user_space *space, uint64_t to, const void *from, uint64_t bytes) {
    return bytes == 0 || (may(space, to, bytes, VMEM_WRITE) &&
                          copy(space, (void *)(uintptr_t)to, from, bytes, PF_WRITE));
}
