// What programs ask the reference kernel for: the numbers of system calls, what they take, give and
// refuse. For the kernel and for programs, and nothing but numbers.
//
// A call is SYSCALL with its number in RAX and arguments in RDI, RSI and RDX. RAX has the result: a
// negative number is one of enum slipway_error, and then nothing has changed. `wait` also answers
// in RDX. SYSCALL itself takes RCX and R11; every other register is kept. Of the flags TF, NT and
// IOPL are cleared.
//
// Addresses and sizes of memory are multiples of 4096. Memory is zeroed, and comes when it is
// touched: where there is none left, the process that touches it ends. There is no FPU.
#pragma once

#include <stdint.h>

enum slipway_call {
    SLIPWAY_EXIT = 0,   // (status): ends the process; the low 8 bits are its status
    SLIPWAY_PRINT = 1,  // (text, bytes): at most SLIPWAY_PRINT_MAX; printable ASCII and newlines
    SLIPWAY_PID = 2,    // (): of the process that asks
    SLIPWAY_PARENT = 3, // (): its parent's; 0: it has none, or that has ended
    SLIPWAY_CPU = 4,    // (): on which CPU it runs
    SLIPWAY_TIME = 5,   // (): microseconds since some moment before
    SLIPWAY_YIELD = 6,  // (): lets another run
    SLIPWAY_SLEEP = 7,  // (microseconds)
    SLIPWAY_FORK = 8,   // (): pid of the child, 0 in the child. Shared memory stays shared
    SLIPWAY_WAIT = 9,   // (pid): waits for the end of that child, or with 0 of any. Its pid, and in
                        // RDX its status
    SLIPWAY_KILL = 10,  // (pid): ends a child, or oneself
    SLIPWAY_MAP = 11,   // (address, bytes, rights)
    SLIPWAY_GUARD = 12, // (address, bytes): never any memory there
    SLIPWAY_SHARE = 13, // (address, bytes, rights): memory that children share
    SLIPWAY_UNMAP = 14, // (address, bytes)
    SLIPWAY_PROTECT = 15, // (address, bytes, rights)
    SLIPWAY_CALLS
};

#define SLIPWAY_PRINT_MAX 256

// Rights of memory: 0, or READ with one of the others or none.
#define SLIPWAY_READ    1
#define SLIPWAY_WRITE   2
#define SLIPWAY_EXECUTE 4

enum slipway_error {
    SLIPWAY_ERR_CALL = -1,      // there is no such call
    SLIPWAY_ERR_POINTER = -2,   // not all that was pointed to is memory with the rights for it
    SLIPWAY_ERR_RANGE = -3,     // empty, too much, not aligned, or outside what a process may have
    SLIPWAY_ERR_RIGHTS = -4,    // no rights that memory can have
    SLIPWAY_ERR_TAKEN = -5,     // there is memory already
    SLIPWAY_ERR_NONE = -6,      // there is no memory in some of the range
    SLIPWAY_ERR_NO_MEMORY = -7, // the machine has no more
    SLIPWAY_ERR_MANY = -8,      // there are too many processes
    SLIPWAY_ERR_PROCESS = -9,   // no child of this process
};

// The status of a child: what it gave to `exit`, or one of these.
#define SLIPWAY_FAULTED(vector) (0x100 + (vector)) // an exception ended it
#define SLIPWAY_KILLED          0x200
#define SLIPWAY_NO_MEMORY       0x201 // it touched memory, and there was none left
