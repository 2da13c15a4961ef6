// The smallest program: says who it is.
#include "kernel/programs/user.h"

int main(void) {
    user_print("Hello from process %ld on CPU %ld.\n", user_pid(), user_cpu());
    return 0;
}
