/* An interrupt handler that does nothing: no interrupt is ended by it. */
        .text
        .global badmachine_handler
        .hidden badmachine_handler
badmachine_handler:
        iretq

        .section .note.GNU-stack, "", @progbits
