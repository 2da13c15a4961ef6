// Never ends by itself, and says nothing.
#include "kernel/programs/user.h"

int main(void) {
    for (;;)
        user_ticks();
}
