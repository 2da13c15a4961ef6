/* Where entry.S stores what it finds: offsets into struct entry_state. */
#pragma once

#define ENTRY_RFLAGS 128
#define ENTRY_RETURN 136
#define ENTRY_START  144
#define ENTRY_BYTES  152

#define ENTRY_BY_FILE    1 /* by the ELF header's entry */
#define ENTRY_BY_REQUEST 2 /* by the entry point request's */
#define ENTRY_BY_INFO    3 /* by goto_address of a CPU's info */
