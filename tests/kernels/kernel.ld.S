/* Link script of the contract kernels, run through the preprocessor with
 *   BASE    link address
 *   ALIGN_  alignment of the segments
 *   PIE     defined for a static PIE
 *   NOTE    defined for a kernel with wishes
 *   TLS     defined for a kernel with thread-local data */
ENTRY(_start)

PHDRS
{
    text PT_LOAD FLAGS(5);
    rodata PT_LOAD FLAGS(4);
    data PT_LOAD FLAGS(6);
    relro PT_GNU_RELRO FLAGS(4);
#ifdef PIE
    dynamic PT_DYNAMIC FLAGS(4);
#endif
#ifdef NOTE
    note PT_NOTE FLAGS(4);
#endif
#ifdef TLS
    tls PT_TLS FLAGS(4);
#endif
}

SECTIONS
{
    . = BASE;
    link_image_start = .;
    .text : { *(.text.entry) *(.text .text.*) } :text
    link_text_end = .;

    . = ALIGN(ALIGN_);
    link_rodata_start = .;
#ifdef NOTE
    .note.slipway : { KEEP(*(.note.slipway)) } :rodata :note
#endif
    .rodata : { *(.rodata .rodata.*) } :rodata
#ifdef PIE
    .rela.dyn : { *(.rela .rela.*) }
    .dynsym : { *(.dynsym) }
    .dynstr : { *(.dynstr) }
    .hash : { *(.hash) }
    .gnu.hash : { *(.gnu.hash) }
#endif
    link_rodata_end = .;

    /* RELRO ends on a page boundary: what shares its last page would become read-only with it. */
    . = ALIGN(ALIGN_);
    . = DATA_SEGMENT_ALIGN(ALIGN_, 4096);
    link_relro_start = .;
#ifdef TLS
    .tdata : { *(.tdata .tdata.*) } :data :relro :tls
    .tbss : { *(.tbss .tbss.*) } :data :relro :tls
#endif
    .data.rel.ro : { *(.data.rel.ro .data.rel.ro.*) } :data :relro
#ifdef PIE
    .dynamic : { *(.dynamic) } :data :relro :dynamic
#endif
    .got : { *(.got .got.plt) . = ALIGN(4096); } :data :relro
    . = DATA_SEGMENT_RELRO_END(0, .);
    link_relro_end = .;
    .data : { *(.data .data.*) } :data
    .bss : { *(.bss .bss.* COMMON) } :data
    .huge : { *(.huge) } :data
    . = ALIGN(4096);
    link_image_end = .;
    . = DATA_SEGMENT_END(.);

    /DISCARD/ : { *(.comment) *(.eh_frame*) *(.note.gnu*) *(.interp) }
}
