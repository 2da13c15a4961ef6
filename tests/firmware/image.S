# What loader/loader.ld says of the loader's image: its start and its text. Only the distances count; the
# image that the fake firmware placed is in the arena.

        .bss
        .balign 4096
        .globl  ImageBase, _text, _etext
ImageBase:
        .skip   0x1000
_text:
        .skip   0x3000
_etext:
        .skip   0x2000

        .section .note.GNU-stack, "", @progbits
