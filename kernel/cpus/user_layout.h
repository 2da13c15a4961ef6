/* Numbers of user mode that C and assembler share. */
#pragma once

/* Selectors behind those of the boot, in the order of SYSRET: data, then code, both of ring 3. */
#define USER_DS 0x2B
#define USER_CS 0x33

/* What user_run returns for SYSCALL: no vector. */
#define USER_SYSCALL 256

/* Offsets in struct user_context, which is a struct trap_frame. */
#define USER_CONTEXT_RAX    112
#define USER_CONTEXT_VECTOR 120
#define USER_CONTEXT_BYTES  176
