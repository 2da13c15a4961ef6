// Never ends by itself.
#include "kernel/programs/user.h"

int main(void) {
    user_print("forever: process %ld\n", user_pid());
    for (;;)
        user_ticks();
}
