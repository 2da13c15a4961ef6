/* Link script of the conformance kernels, run through the preprocessor with the words of limine.mk:
 *   PIE        an ET_DYN, linked at 0
 *   READ_ONLY  the requests lie in the read-only segment
 *   RWX        there is one segment, of all rights
 *   SECTION    there is a section .limine_reqs */
ENTRY(_start)

PHDRS
{
#ifdef RWX
    all PT_LOAD FLAGS(7);
#define TEXT   all
#define RODATA all
#define DATA   all
#else
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
#define TEXT   text
#define RODATA rodata
#define DATA   data
#endif
#ifdef PIE
    dynamic PT_DYNAMIC FLAGS(6);
#endif
}

#define REQUESTS                                                                                  \
    . = ALIGN(8);                                                                                 \
    KEEP(*(.limine_before)) KEEP(*(.limine_start)) KEEP(*(.limine_requests)) KEEP(*(.limine_end)) \
    KEEP(*(.limine_after))

SECTIONS
{
#ifdef PIE
    . = 0;
#else
    . = 0xffffffff80000000;
#endif
    image_start = .;
    .text : { *(.text.entry) *(.text .text.*) } :TEXT
    . = ALIGN(4096);
    image_rodata = .;
    .rodata : {
        *(.rodata .rodata.*)
#ifdef READ_ONLY
        REQUESTS
#endif
    } :RODATA
#ifdef SECTION
    .limine_reqs : { KEEP(*(.limine_reqs)) } :RODATA
#endif
#ifdef PIE
    .rela.dyn : { *(.rela .rela.*) } :RODATA
    .dynsym : { *(.dynsym) } :RODATA
    .dynstr : { *(.dynstr) } :RODATA
    .hash : { *(.hash) } :RODATA
    .gnu.hash : { *(.gnu.hash) } :RODATA
#endif
    . = ALIGN(4096);
    image_data = .;
    .data : {
        *(.data .data.*)
#ifndef READ_ONLY
        REQUESTS
#endif
    } :DATA
#ifdef PIE
    .dynamic : { *(.dynamic) } :DATA :dynamic
#endif
    .got : { *(.got .got.plt) } :DATA
    .bss : { *(.bss .bss.* COMMON) } :DATA
    . = ALIGN(4096);
    image_end = .;

    /DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.gnu*) *(.interp) }
}
