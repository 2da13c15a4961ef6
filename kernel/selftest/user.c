#include "kernel/selftest/user.h"

#include "common/x86/cpu.h"
#include "common/x86/regs.h"
#include "kernel/selftest/check.h"
#include "kernel/stop/probe.h"

enum user_space_status user_read(struct user_space *space, uint64_t address, uint64_t *ret_value) {
    for (;;) {
        uint64_t flags = cpu_user_access_begin();
        bool is_read = probe_load(address, ret_value);
        cpu_user_access_end(flags);
        if (is_read)
            return USER_SPACE_OK;
        enum user_space_status status = user_space_fault(space, address, 0);
        if (status != USER_SPACE_OK)
            return status;
    }
}

enum user_space_status user_write(struct user_space *space, uint64_t address, uint64_t value) {
    for (;;) {
        uint64_t flags = cpu_user_access_begin();
        bool is_written = probe_store(address, value);
        cpu_user_access_end(flags);
        if (is_written)
            return USER_SPACE_OK;
        enum user_space_status status = user_space_fault(space, address, PF_WRITE);
        if (status != USER_SPACE_OK)
            return status;
    }
}

uint64_t user_value(struct user_space *space, uint64_t address) {
    uint64_t value = 0;
    check_space(user_read(space, address, &value), USER_SPACE_OK, "reading user memory");
    return value;
}

void user_set(struct user_space *space, uint64_t address, uint64_t value) {
    check_space(user_write(space, address, value), USER_SPACE_OK, "writing user memory");
}
