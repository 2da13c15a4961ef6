/* Slipway hand-over: what the loader gives a kernel at its first instruction.
 *
 * This header is all that a kernel needs. It includes nothing of the project, compiles alone as C99
 * and C++17, and gives its constants to assembler. Version SLIPWAY_BOOT_VERSION; a change that an
 * older kernel would misread raises the version, new fields only grow header_bytes.
 *
 * State at entry (x86-64; of the other CPUs see below):
 *
 *   RDI         const struct slipway_boot_info *, an address in the direct map
 *   others      RAX, RBX, RCX, RDX, RSI, RBP, R8 to R15 are 0
 *   RFLAGS      2: every flag is clear, IF and DF too
 *   RSP         top of a stack in a window of its own: RW, NX, an unmapped guard page below and
 *               above; 16-byte aligned minus 8, as after a call, with return address 0
 *   CR3         the tables listed as SLIPWAY_RANGE_PAGE_TABLES; the lower half maps nothing at all
 *   CR0         PE MP ET NE WP PG set; EM TS CD NW clear
 *   CR4         PAE PGE OSFXSR OSXMMEXCPT set; MCE SMEP SMAP UMIP where the CPU has them; LA57
 *               with 5 levels
 *   EFER        LME LMA NXE; in EFER, CR0 and CR4 no bit is set that is not named here
 *   FPU, SSE    as after FNINIT, with control word 0x37f; MXCSR is 0x1f80. XCR0 is not defined: a
 *               kernel that sets CR4.OSXSAVE writes it
 *   debug       DR7 is 0x400: no breakpoint is enabled; the other debug registers are not defined
 *   PAT         SLIPWAY_PAT
 *   GDT         SLIPWAY_CS (64-bit code) loaded in CS, SLIPWAY_DS in SS DS ES FS GS; a TSS is
 *               loaded. The bases of FS and GS and the one that SWAPGS swaps in are 0, also
 *               for a kernel with thread-local data (tls_address)
 *   IDT         valid until the kernel loads its own: a fault prints registers, CR2 and the walk of
 *               CR2 on COM1, a machine check the banks that report an error, and the machine stops.
 *               GDT, TSS and IDT lie in SLIPWAY_RANGE_LOADER memory; in SLIPWAY_RANGE_CPUS memory
 *               if other CPUs have been started
 *   PIC         the legacy PIC is masked
 *   local APIC  in the mode that the firmware left it in, which apic_mode says; enabled, spurious
 *               vector 0xFF, TPR 0; no interrupt is in service; the timer's initial count is 0;
 *               every LVT entry is 0x10000, as after a reset: masked. An interrupt that was
 *               requested before and is still pending (IRR) comes when the kernel sets IF: have a
 *               gate for every vector by then, which ends what is in service
 *   I/O APICs   the low half of every entry is 0x10000: masked, edge triggered. The high half is
 *               not defined
 *   SMI         an entry of a local or an I/O APIC whose delivery mode is SMI is the firmware's and
 *               stays as it is
 *   HPET        no timer raises interrupts, and none replaces the PIT. Whether the main counter
 *               counts is not defined; if it does, it has not been stopped or written
 *   PIT         channel 0 is in mode 0 and has no count: it raises no interrupt
 *   MSI         devices are as the firmware left them, those that raise MSIs too: one may come
 *               when IF is set, as a pending interrupt does
 *   IOMMUs      off: no VT-d or AMD IOMMU translates DMA, protects memory from it or remaps
 *               interrupts. An IOMMU that does not go off stops the loader. Without remapping no
 *               device can interrupt a CPU whose x2APIC ID is above 254; such a kernel turns it on
 *
 *               These are the controllers that ACPI lists (MADT, HPET, DMAR, IVRS). What it lists
 *               wrongly, at an address that is in RAM, say, is not touched, and in the log
 *   segments    mapped with exactly the ELF permissions, never writable and executable; RELRO
 *               honoured
 *   direct map  all RAM of the memory map at hhdm_base + physical address: RW, WB, never
 *               executable; the frames of kernel text and read-only data are read-only there too.
 *               MMIO, reserved ranges and holes are not mapped, nor is RAM that the MTRRs do not
 *               make write-back, which is listed as SLIPWAY_RANGE_DEMOTED.
 *   firmware    its tables, where they do not lie in that RAM (SLIPWAY_MAP_FIRMWARE): read-only,
 *               never executable. These are all ACPI tables that the RSDP leads to (itself, XSDT,
 *               RSDT, what they list, DSDT, FACS); SMBIOS entry points with their structures; the
 *               EFI system table, its vendor's name, runtime services table and list of
 *               configuration tables, and the page in which each of those begins. What the
 *               firmware itself has not mapped is left out, and so is, with a line in the log, what
 *               lies in more places than there is room for.
 *   screen      every framebuffer is mapped write-combining and cleared to 0, which is black,
 * unless SLIPWAY_NOTE_KEEP_SCREEN or the config keeps the firmware's picture
 *
 * What is different if the note asks for it (SLIPWAY_NOTE_DIRECT), for kernels whose first tables
 * of their own map the direct map and the kernel alone:
 *
 *   RSP         top of a stack in the direct map: stack_bottom is hhdm_base + stack_phys. Stacks of
 *               other CPUs are there, too. The guards of a stack are the frames below and above it,
 *               which nothing maps: SLIPWAY_RANGE_GUARD. In `memory` they are reserved, so that
 *               nobody takes them for RAM that the direct map has. They are sound RAM: a kernel
 *               that needs the stack no more may map them, and use them then
 *   GDT, IDT    GDTR, IDTR (that of other CPUs, too), the base of the TSS and its interrupt stacks
 *               are addresses in the direct map. The code of the fault handler stays in the window,
 *               since nothing in the direct map is executable. Under tables without what
 *               SLIPWAY_MAP_LOADER maps a fault before the kernel's own IDT is a triple fault
 *   screen      every framebuffer is mapped write-combining at hhdm_base + its physical address,
 *               which may lie above hhdm_end; its mapping is SLIPWAY_MAP_FRAMEBUFFER, as ever. One
 *               that would end beyond SLIPWAY_HHDM_MAX_BYTES, or above SLIPWAY_WINDOW_BASE, is
 *               left out, with a line in the log
 *
 * Parked CPUs execute the loader's code in the window all the same: the loader's tables must stay
 * until all are released.
 *
 * The other CPUs, if the note asks for them (SLIPWAY_NOTE_CPUS): `cpus` lists all that the firmware
 * lists as enabled, the boot CPU too, in the order of the MADT. Each that could be started is
 * parked: it spins on its record, interrupts off, on the kernel's tables. To release one, store
 * what it is to know into `argument`, then the address of a function into `entry`, with release
 * order (the CPU loads `entry` with acquire order): what was stored before is seen there. It then
 * finds what the boot CPU found at entry, all of the list above, but in RDI its record (struct
 * slipway_cpu), and a stack, GDT, TSS and interrupt stacks of its own. Its PAT and MTRRs are those
 * of the boot CPU, and its local APIC is in the boot CPU's mode, else as INIT leaves it: off by the
 * spurious-interrupt register, every entry of the local vector table masked, nothing in service.
 *   The records, parked CPUs, their stacks and the loader's image lie in SLIPWAY_RANGE_CPUS memory,
 * which is in use until every parked CPU has been released and has left its stack, GDT and IDT. The
 * loader's tables must map it for as long as any is parked.
 *
 * Tables of the firmware hold physical addresses. To follow one, look in `mappings` for the record
 * of purpose SLIPWAY_MAP_DIRECT or SLIPWAY_MAP_FIRMWARE that holds it: its virtual address is virt
 * + (address - phys). At the end of a record a table may go on in another one: look again. An
 * address that no such record holds is not mapped.
 *
 * Runtime services run with physical addresses: nobody has called SetVirtualAddressMap. A kernel
 * that uses them maps the ranges of the raw EFI map (`efi_map`) that have the attribute RUNTIME one
 * to one; if it calls SetVirtualAddressMap, so for that call, with their code writable, before it
 * reclaims SLIPWAY_MEM_BOOT_SERVICES, in which the memory attributes table lies, too.
 *
 * What the loader takes: an ELF64 file, ET_EXEC or ET_DYN, of any number of segments and notes, up
 * to 65534 program headers in any order, each segment aligned as its p_align says; relocations of
 * the types RELATIVE, 64, GLOB_DAT and JUMP_SLOT, and packed ones (DT_RELR), in which a weak symbol
 * that is undefined is 0; and any number of modules. Into a segment that is not writable nothing is
 * relocated. What the loader cannot take, or give of what the note asks for, it refuses with the
 * reason.
 *
 * When you port a kernel from elsewhere:
 *
 *   RDI         an entry in assembler that calls anything first loses it: copy it into a static
 *   devices     no MMIO is in the direct map (local APIC, HPET, PCI configuration space): map each,
 *               uncached, before the first access
 *   first CR3   stack, GDT, TSS, IDT, framebuffers and some tables of the firmware are mapped in
 *               the window from window_base on, not in the direct map. Tables of the kernel's own
 * that lack this window end in a triple fault at the first push or fault. Until all of these are
 * replaced take over entries 256 to 511 of the root at hhdm_base + root_phys, or map what
 * `mappings` lists; or leave them by their addresses in the direct map, stack_phys and so on. With
 * the direct map and the kernel mapped, a GDT and an IDT of the kernel's own, and interrupts off:
 *
 *                   // RDI: hhdm_base + stack_phys - stack_bottom; RSI: the new root
 *                   switch:
 *                       addq  %rdi, %rsp     // the same memory, in the direct map
 *                       movq  %cr4, %rax
 *                       movq  %rax, %rcx
 *                       andq  $~0x80, %rax
 *                       movq  %rax, %cr4     // without PGE: global pages are forgotten, too
 *                       movq  %rsi, %cr3
 *                       movq  %rcx, %cr4
 *                       ret                  // pointers into the old stack are worthless now
 *
 *               and before that call, in C:
 *
 *                   lgdt(&gdt_pointer), lidt(&idt_pointer), reload the segment registers
 *                   switch(info->hhdm_base + info->stack_phys - info->stack_bottom, root)
 *
 *               Until the kernel loads a TSS of its own its IDT uses no interrupt stack: that
 *               of the loader's TSS leads to the window.
 *
 *               With SLIPWAY_NOTE_DIRECT stack, GDT, TSS, IDT and framebuffers stay where they are
 *               under such tables: of `switch` all but the first line, and an IDT of the kernel's
 *               own before, since the handlers of the loader's are lost
 *
 * Every address field is a virtual address inside memory that the manifest (`mappings`) lists,
 * unless its name ends in _phys, or 0 where there is nothing: an empty module has no address.
 * Fields named _end or _top are the end of something, outside of it. Sizes are in bytes. Nothing
 * here needs a relocation or a free: the whole block, all but the records of `cpus`, what
 * `symbols` leads to and crash_room, is one range of purpose SLIPWAY_RANGE_BOOT_INFO, valid until
 * the kernel reclaims that range.
 */
#ifndef SLIPWAY_BOOT_H
#define SLIPWAY_BOOT_H

#ifdef __ASSEMBLER__
#define SLIPWAY_U64(value) value
#else
#define SLIPWAY_U64(value) value##ULL
#endif

/* "SLIPWAY" and a newline, little-endian. */
#define SLIPWAY_BOOT_MAGIC   SLIPWAY_U64(0x0a59415750494c53)
#define SLIPWAY_BOOT_VERSION 1

/* Selectors of the GDT at entry. */
#define SLIPWAY_CS  0x08
#define SLIPWAY_DS  0x10
#define SLIPWAY_TSS 0x18

/* IA32_PAT at entry, entries 0 to 7: WB, WT, UC-, UC, WP, WC, UC-, UC (Intel SDM 3A, 12.12.2). */
#define SLIPWAY_PAT SLIPWAY_U64(0x0007010500070406)

/* Address space, the same with 4 and 5 paging levels. A kernel may be linked anywhere in the upper
 * half of 4 levels. Where its image takes the place of the direct map or of the window, these go
 * elsewhere: hhdm_base and window_base tell where they are. */
#define SLIPWAY_HHDM_BASE      SLIPWAY_U64(0xffff800000000000) /* direct map, default base */
#define SLIPWAY_HHDM_MAX_BYTES SLIPWAY_U64(0x400000000000)     /* its window: 2^46, 64 TiB */
#define SLIPWAY_WINDOW_BASE    SLIPWAY_U64(0xffffc00000000000) /* all but direct map and kernel */
#define SLIPWAY_WINDOW_END     SLIPWAY_U64(0xffffc80000000000) /* of its default place */
#define SLIPWAY_WINDOW_BYTES   SLIPWAY_U64(0x80000000000)      /* 8 TiB, wherever it is */
#define SLIPWAY_HHDM_ALIGN     SLIPWAY_U64(0x8000000000)       /* of both bases: 512 GiB */
#define SLIPWAY_KERNEL_MIN     SLIPWAY_U64(0xffff800000000000) /* lowest kernel segment */
#define SLIPWAY_KERNEL_MAX     SLIPWAY_U64(0xfffffffffffff000) /* end of the highest, exclusive */
#define SLIPWAY_KERNEL_DEFAULT SLIPWAY_U64(0xffffffff80000000) /* of an ET_DYN kernel at 0 */

/* Address space of a kernel with SLIPWAY_NOTE_KASLR, where the configuration does not say `kaslr =
 * off` and the machine has a source of random numbers (slipway_kaslr):
 *
 *   image       if it is ET_DYN and has a PT_DYNAMIC, its lowest address lies in the GiB from
 *               SLIPWAY_KERNEL_DEFAULT on. From where it lies otherwise it is moved by a multiple
 *               of 2 MiB, of its largest p_align and of the alignment of its thread-local data
 *   direct map  if the note asks for no base, it begins at a multiple of SLIPWAY_KASLR_ALIGN and
 *               ends below SLIPWAY_WINDOW_BASE; with 5 levels it may lie anywhere there, from the
 *               start of their upper half on
 *
 * `kaslr = on` does the same to a kernel without the flag, but that its direct map keeps to
 * multiples of SLIPWAY_HHDM_ALIGN from SLIPWAY_HHDM_BASE on. */
#define SLIPWAY_KASLR_ALIGN SLIPWAY_U64(0x40000000) /* 1 GiB */

/* Offsets that assembler entry code may want. */
#define SLIPWAY_BOOT_OFFSET_MAGIC     0
#define SLIPWAY_BOOT_OFFSET_VERSION   8
#define SLIPWAY_BOOT_OFFSET_HHDM_BASE 56

/* slipway_mapping.rights; every mapping is readable. No USER mapping is ever handed over. */
#define SLIPWAY_RIGHT_WRITE   1
#define SLIPWAY_RIGHT_EXECUTE 2

/* slipway_mapping.cache */
#define SLIPWAY_CACHE_WB 0
#define SLIPWAY_CACHE_UC 3
#define SLIPWAY_CACHE_WC 5

/* slipway_mapping.purpose */
#define SLIPWAY_MAP_DIRECT      1 /* part of the direct map */
#define SLIPWAY_MAP_KERNEL      2 /* pages of a kernel segment */
#define SLIPWAY_MAP_STACK       3 /* a stack, without its guard pages */
#define SLIPWAY_MAP_FRAMEBUFFER 4 /* a framebuffer, write-combining */
#define SLIPWAY_MAP_LOADER      5 /* the loader's image: fault handler, GDT, TSS, IDT */
#define SLIPWAY_MAP_FIRMWARE    6 /* tables of the firmware, read-only, write-back or uncached */

/* slipway_range.purpose */
#define SLIPWAY_RANGE_KERNEL      1 /* the kernel's image in memory; not reclaimable */
#define SLIPWAY_RANGE_MODULE      2 /* a module; the kernel may free it when done with it */
#define SLIPWAY_RANGE_PAGE_TABLES 3 /* reachable from CR3; not reclaimable, freed one by one */
#define SLIPWAY_RANGE_STACK       4 /* the boot stack; reclaimable */
#define SLIPWAY_RANGE_BOOT_INFO   5 /* this block; reclaimable */
#define SLIPWAY_RANGE_LOADER      6 /* its image (GDT, TSS, IDT) and scratch; reclaimable */
#define SLIPWAY_RANGE_DEMOTED     7 /* RAM that came too late to be mapped, or not WB by the MTRRs */
#define SLIPWAY_RANGE_CPUS        8  /* what parked CPUs use; reclaimable, once none is parked */
#define SLIPWAY_RANGE_GUARD       9  /* a frame beside a stack (SLIPWAY_NOTE_DIRECT): not mapped */
#define SLIPWAY_RANGE_SYMBOLS     10 /* what SLIPWAY_NOTE_SYMBOLS brings; reclaimable */
#define SLIPWAY_RANGE_CRASH       11 /* room for a report (SLIPWAY_NOTE_CRASH); reclaimable */

/* slipway_memory.kind, from most to least usable: where two sources disagree about a byte, the
 * larger number wins. 1 is free at hand-over, 2 to 4 may be reclaimed, 5 to 7 are allocated, 8 and
 * above are never general memory. */
#define SLIPWAY_MEM_USABLE        1
#define SLIPWAY_MEM_BOOT_SERVICES 2 /* EfiBootServicesCode, EfiBootServicesData */
#define SLIPWAY_MEM_LOADER        3 /* EfiLoaderCode, EfiLoaderData; boot info, stack, GDT, IDT */
#define SLIPWAY_MEM_ACPI_RECLAIM  4 /* after the ACPI tables are parsed */
#define SLIPWAY_MEM_MODULE                                                                         \
    5 /* and what parked CPUs use, parts of the kernel's file, crash_room                          \
       */
#define SLIPWAY_MEM_KERNEL        6
#define SLIPWAY_MEM_PAGE_TABLES   7
#define SLIPWAY_MEM_ACPI_NVS      8
#define SLIPWAY_MEM_RUNTIME       9 /* runtime services code and data; whatever carries RUNTIME */
#define SLIPWAY_MEM_SOFT_RESERVED 10
#define SLIPWAY_MEM_PERSISTENT    11
#define SLIPWAY_MEM_UNACCEPTED    12
/* Reserved, PAL, unknown and OEM types, RAM without WB, frame 0, 640 KiB to 1 MiB. */
#define SLIPWAY_MEM_RESERVED 13
#define SLIPWAY_MEM_UNUSABLE 14
#define SLIPWAY_MEM_MMIO     15
#define SLIPWAY_MEM_KINDS    16

/* slipway_mtrr.type: the CPU's numbers (Intel SDM 3A table 11-8) */
#define SLIPWAY_MTRR_UC 0
#define SLIPWAY_MTRR_WC 1
#define SLIPWAY_MTRR_WT 4
#define SLIPWAY_MTRR_WP 5
#define SLIPWAY_MTRR_WB 6

/* slipway_choice.by */
#define SLIPWAY_CHOICE_NONE            0 /* the config has no entries */
#define SLIPWAY_CHOICE_BY_DEFAULT      1 /* nobody was asked */
#define SLIPWAY_CHOICE_BY_LOAD_OPTIONS 2
#define SLIPWAY_CHOICE_BY_MENU         3
#define SLIPWAY_CHOICE_BY_TIMEOUT      4 /* nobody answered: the default */

/* slipway_framebuffer.format */
#define SLIPWAY_PIXEL_RGBX8888 0 /* red in the lowest byte */
#define SLIPWAY_PIXEL_BGRX8888 1 /* blue in the lowest byte */
#define SLIPWAY_PIXEL_MASKS    2 /* see the masks */

/* slipway_module.digest_kind */
#define SLIPWAY_DIGEST_NONE   0
#define SLIPWAY_DIGEST_SHA256 1

/* slipway_boot_info.apic_mode */
#define SLIPWAY_APIC_NONE   0 /* there is no local APIC, or the firmware has disabled it */
#define SLIPWAY_APIC_XAPIC  1 /* its registers are a page, at the address in IA32_APIC_BASE */
#define SLIPWAY_APIC_X2APIC 2 /* its registers are MSRs */

/* slipway_boot_info.tsc_method: where tsc_hz comes from */
#define SLIPWAY_TSC_UNKNOWN    0 /* tsc_hz is 0 */
#define SLIPWAY_TSC_CPUID      1 /* CPUID leaf 0x15 (Intel SDM 2A, CPUID): exact */
#define SLIPWAY_TSC_HYPERVISOR 2 /* CPUID leaf 0x40000010: to the kHz, by the hypervisor's word */
#define SLIPWAY_TSC_PM_TIMER   3 /* measured by ACPI's timer (ACPI 6.4, 4.8.3.3) */

/* slipway_boot_info.entropy_sources: flags. A source that failed is not among them. */
#define SLIPWAY_ENTROPY_FIRMWARE 1 /* EFI_RNG_PROTOCOL (UEFI 2.9, 37.5), its default algorithm */
#define SLIPWAY_ENTROPY_RDSEED   2 /* Intel SDM 1, 7.3.17 */
#define SLIPWAY_ENTROPY_RDRAND   4
#define SLIPWAY_ENTROPY_JITTER   8 /* TSC values of the boot: always, and never enough alone */

/* slipway_kaslr.moved: flags */
#define SLIPWAY_KASLR_IMAGE  1
#define SLIPWAY_KASLR_DIRECT 2

/* slipway_boot_info.partition_id_kind */
#define SLIPWAY_PARTITION_NONE 0 /* not from a partition, or the firmware does not say which */
#define SLIPWAY_PARTITION_MBR  1 /* partition_id is the disk's 32-bit signature, then zeros */
#define SLIPWAY_PARTITION_GPT  2 /* partition_id is the partition's GUID, bytes as in the GPT */

/* slipway_boot_info.server_kind */
#define SLIPWAY_SERVER_NONE 0
#define SLIPWAY_SERVER_IPV4 4 /* the first 4 bytes of server_address, in network order */
#define SLIPWAY_SERVER_IPV6 6 /* all 16 */

/* slipway_tpm_log.format, as EFI_TCG2_EVENT_LOG_FORMAT */
#define SLIPWAY_TPM_LOG_NONE  0
#define SLIPWAY_TPM_LOG_SHA1  1 /* TCG_PCR_EVENT (TCG PC Client Platform Firmware Profile, 10.2) */
#define SLIPWAY_TPM_LOG_AGILE 2 /* a TCG_PCR_EVENT with the Spec ID, then TCG_PCR_EVENT2 */

/* The kernel's wishes, an ELF note of name "Slipway" and this type. */
#define SLIPWAY_NOTE_TYPE        1
#define SLIPWAY_NOTE_FRAMEBUFFER 1 /* flag: refuse to boot without a framebuffer */
#define SLIPWAY_NOTE_CPUS        2 /* flag: start all CPUs */
#define SLIPWAY_NOTE_DIRECT      4 /* flag: stacks, GDT, TSS, IDT, framebuffers in the direct map */
#define SLIPWAY_NOTE_KEEP_SCREEN 8 /* flag: do not clear the framebuffers */
#define SLIPWAY_NOTE_SYMBOLS     16 /* flag: bring symbols and section headers (slipway_symbols) */
#define SLIPWAY_NOTE_CRASH       32 /* flag: room for a report that outlives a reset (slipway_crash) */
#define SLIPWAY_NOTE_KASLR       64 /* flag: image and direct map may lie at random places */

/* slipway_cpu.state, at entry */
#define SLIPWAY_CPU_BOOT   1 /* the one that boots */
#define SLIPWAY_CPU_PARKED 2 /* waits to be released */
#define SLIPWAY_CPU_ABSENT 3 /* did not come up, or could not be reached */

/* Offsets in struct slipway_cpu for assembler entry code. */
#define SLIPWAY_CPU_OFFSET_ENTRY    0
#define SLIPWAY_CPU_OFFSET_ARGUMENT 8

/* Makes the linker complain when it discards the wishes: see struct slipway_note_wishes. The empty
 * section goes where .note.slipway goes, by SHF_LINK_ORDER. Without it there is no __start_ symbol,
 * which is referred to by what SHF_GNU_RETAIN keeps. */
/* clang-format off */
#define SLIPWAY_KEEP_NOTE                                                                          \
    .pushsection .note.slipway,"a",@note; .Lslipway_wishes: .popsection;                           \
    .pushsection slipway_wishes_kept,"ao",@progbits,.Lslipway_wishes; .popsection;                 \
    .pushsection .rodata.slipway,"aR",@progbits; .balign 4;                                        \
    .hidden __start_slipway_wishes_kept; .long __start_slipway_wishes_kept - .; .popsection
/* clang-format on */

#ifdef __ASSEMBLER__

/* A kernel's note in assembler. The wishes are those of struct slipway_note_wishes, all of them. */
/* clang-format off */
#define SLIPWAY_KERNEL_NOTE(flags, stack_bytes, hhdm_base, ram_floor_bytes, paging_levels)         \
    SLIPWAY_KEEP_NOTE;                                                                             \
    .pushsection .note.slipway,"a",@note; .balign 4;                                               \
    .long 8, 40, SLIPWAY_NOTE_TYPE; .asciz "Slipway"; .long SLIPWAY_BOOT_VERSION, flags;           \
    .quad stack_bytes, hhdm_base, ram_floor_bytes; .long paging_levels, 0; .popsection
/* clang-format on */

#else /* C and C++ */

#include <stdint.h>

/* Counted text of `bytes` bytes; a NUL follows it and is not counted. */
struct slipway_text {
    uint64_t address;
    uint64_t bytes;
};

/* `count` records, `stride` bytes from one to the next. Step by stride, not by sizeof. Without
 * records `address` is 0. */
struct slipway_array {
    uint64_t address;
    uint32_t count;
    uint32_t stride;
};

/* One maximal range of the manifest: everything that CR3 maps, in rising virtual order. */
struct slipway_mapping {
    uint64_t virt;
    uint64_t phys;
    uint64_t bytes;
    uint32_t rights;  /* SLIPWAY_RIGHT_... */
    uint16_t cache;   /* SLIPWAY_CACHE_... */
    uint16_t purpose; /* SLIPWAY_MAP_... */
};

/* One region of the memory map: sorted, disjoint, frame aligned, neighbours differ. */
struct slipway_memory {
    uint64_t start_phys;
    uint64_t bytes;
    uint32_t kind;      /* SLIPWAY_MEM_... */
    uint32_t in_direct; /* 1: mapped in the direct map, whole */
};

/* One range that the loader allocated, or has something to say of. Frame aligned. */
struct slipway_range {
    uint64_t start_phys;
    uint64_t bytes;
    uint32_t purpose;     /* SLIPWAY_RANGE_... */
    uint32_t reclaimable; /* 1: free for use once the kernel needs its contents no more */
};

/* A part of the kernel's image that is one in physical memory. */
struct slipway_piece {
    uint64_t virt;
    uint64_t phys;
    uint64_t bytes;
};

struct slipway_module {
    struct slipway_text path;
    struct slipway_text cmdline;
    uint64_t address; /* in the direct map, frame aligned, zero-filled to the end of its frame; 0 of
                       * an empty file */
    uint64_t bytes;   /* the file's size */
    uint32_t digest_kind;
    uint32_t reserved;
    uint8_t digest[32]; /* of the file */
};

/* A size that a display can show, in linear memory with 32-bit pixels. */
struct slipway_display_mode {
    uint32_t width;    /* pixels */
    uint32_t height;   /* pixels */
    uint32_t pitch;    /* bytes from a line to the next */
    uint32_t format;   /* SLIPWAY_PIXEL_... */
    uint32_t red_mask; /* masks of a pixel; valid for every format */
    uint32_t green_mask;
    uint32_t blue_mask;
    uint32_t reserved;
};

struct slipway_framebuffer {
    uint64_t address; /* of the top left pixel, mapped write-combining */
    uint64_t address_phys;
    uint64_t bytes;    /* mapped from address */
    uint32_t width;    /* pixels */
    uint32_t height;   /* pixels */
    uint32_t pitch;    /* bytes from a line to the next */
    uint32_t format;   /* SLIPWAY_PIXEL_... */
    uint32_t red_mask; /* masks of a 32-bit pixel; valid for every format */
    uint32_t green_mask;
    uint32_t blue_mask;
    uint32_t reserved;
    uint64_t edid;              /* as the firmware gave it, not checked; 0 if it has none */
    uint64_t edid_bytes;        /* 32 KiB at most */
    struct slipway_array modes; /* struct slipway_display_mode, with the one that is set; other
                                 * modes of the firmware's are not listed */
    uint32_t mode;              /* index in `modes` of the one that is set */
    uint32_t reserved_2;
};

/* A CPU, on a cache line of its own. */
struct slipway_cpu {
    uint64_t entry;        /* 0; stored by the kernel to release the CPU */
    uint64_t argument;     /* the kernel's, for that */
    uint64_t stack_top;    /* end of its stack, which is as large as the boot stack; 0 if absent */
    uint32_t processor_id; /* ACPI's */
    uint32_t apic_id;      /* of its local APIC, as CPUID tells it */
    uint32_t state;        /* SLIPWAY_CPU_... */
    uint32_t reserved[7];
};

/* What the MTRRs of every CPU say of a range of physical memory. */
struct slipway_mtrr {
    uint64_t start_phys;
    uint64_t bytes;
    uint32_t type; /* SLIPWAY_MTRR_... */
    uint32_t reserved;
};

/* One stage of the loader's timeline, in the order of their starts. */
struct slipway_stage {
    char name[16]; /* NUL-terminated */
    uint64_t tsc_start;
    uint64_t tsc_end;
    uint64_t bytes; /* moved, filled or examined in it; 0 where that says nothing */
};

/* The TPM's event log, as EFI_TCG2_PROTOCOL.GetEventLog gave it when all files had been read (TCG
 * EFI Protocol Specification 1.00, 6.5), copied into this block: whole, sound events, of 1 MiB at
 * most. What was measured later, as ExitBootServices is, stands in the configuration table
 * EFI_TCG2_FINAL_EVENTS_TABLE (there, 7), and not here. */
struct slipway_tpm_log {
    uint64_t address; /* 0 if there are no events */
    uint64_t bytes;
    uint32_t format;    /* SLIPWAY_TPM_LOG_... */
    uint32_t truncated; /* 1: events are missing at its end */
};

/* The firmware's basic boot performance record (ACPI 6.4, 5.2.23: FPDT, FBPT, record type 2), in
 * nanoseconds of the firmware's own counting; 0: not recorded, as all are without an FPDT. */
struct slipway_firmware_times {
    uint64_t reset_end;
    uint64_t loader_load;  /* OSLoaderLoadImageStart */
    uint64_t loader_start; /* OSLoaderStartImageStart */
    uint64_t exit_start;   /* ExitBootServicesEntry */
    uint64_t exit_end;     /* ExitBootServicesExit */
};

/* Parts of the kernel's file, if its note asks for them (SLIPWAY_NOTE_SYMBOLS; else all is 0), as
 * they stand there (System V gABI, chapter 4). They are copies in the direct map, in one range of
 * purpose SLIPWAY_RANGE_SYMBOLS. Addresses in them are link addresses: kernel_slide is to be added.
 * What the file does not have, as one that has been stripped, or has wrongly, is 0, with a line in
 * the log. Each table of names ends with a NUL, so that a name that begins in it ends in it. */
struct slipway_symbols {
    struct slipway_array sections; /* Elf64_Shdr, with the first, which is no section's */
    struct slipway_array symbols;  /* Elf64_Sym: .symtab, with the first, which is no symbol */
    uint64_t section_names;        /* of sh_name */
    uint64_t section_names_bytes;
    uint64_t symbol_names; /* .strtab, of st_name */
    uint64_t symbol_names_bytes;
};

/* "CRASHED" and a newline, little-endian. */
#define SLIPWAY_CRASH_MAGIC SLIPWAY_U64(0x0a44454853415243)

/* A report that a kernel leaves, when it fails, at the start of its room: the loader's next start
 * shows the first lines, hands the text over (crash_report) and erases this. The text follows the
 * structure, and ends before the last byte of the room. Store it as plain ASCII and newlines, then
 * what is here, and write the caches back (WBINVD): a reset may lose what they hold. */
struct slipway_crash {
    uint64_t magic;    /* SLIPWAY_CRASH_MAGIC */
    uint64_t checksum; /* FNV-1a of 64 bits: of the text, then of all behind this field */
    uint32_t text_bytes;
    uint32_t reserved;
    int64_t time; /* of the failure, seconds since 1970; 0: not known */
};

/* Which places are random, where they came from, and of how many each is one: all are as likely.
 * All 0 if none is. */
struct slipway_kaslr {
    uint32_t moved;         /* SLIPWAY_KASLR_... */
    uint32_t sources;       /* SLIPWAY_ENTROPY_... of the generator's seed, JITTER not among them */
    uint64_t image_places;  /* kernel_slide tells which it is */
    uint64_t direct_places; /* hhdm_base tells which it is */
};

/* Which entry of the config is booted. */
struct slipway_choice {
    struct slipway_text entry; /* its name; empty if the config has no entries */
    uint32_t by;               /* SLIPWAY_CHOICE_... */
    uint32_t menu_ms;          /* how long the menu waited; a stage of the timeline, too */
};

struct slipway_boot_info {
    uint64_t magic;        /* SLIPWAY_BOOT_MAGIC */
    uint32_t version;      /* SLIPWAY_BOOT_VERSION */
    uint32_t header_bytes; /* size of this structure as the loader knows it */
    uint64_t total_bytes;  /* of the block that starts here and holds all arrays and texts */
    struct slipway_text loader_name;
    struct slipway_text loader_version;

    uint64_t hhdm_base;     /* direct map: physical p is at hhdm_base + p */
    uint64_t hhdm_end;      /* end of the highest mapped byte of RAM */
    uint64_t root_phys;     /* CR3 */
    uint32_t paging_levels; /* 4 or 5 */
    uint32_t table_pages;   /* reachable from CR3, root included */

    struct slipway_array mappings;     /* struct slipway_mapping: the manifest */
    struct slipway_array memory;       /* struct slipway_memory */
    struct slipway_array ranges;       /* struct slipway_range, sorted, disjoint */
    struct slipway_array modules;      /* struct slipway_module, in the order of the config */
    struct slipway_array framebuffers; /* struct slipway_framebuffer; none is not an error */
    struct slipway_array stages;       /* struct slipway_stage */

    uint64_t efi_map; /* raw EFI memory descriptors of the final map */
    uint64_t efi_map_bytes;
    uint32_t efi_map_stride;
    uint32_t efi_map_version;

    uint64_t kernel_virt; /* lowest page of the image */
    uint64_t kernel_phys; /* of that page; for the others see kernel_pieces */
    uint64_t kernel_bytes;
    uint64_t kernel_slide; /* run address minus link address */
    uint64_t kernel_entry;
    uint64_t kernel_file_bytes;
    struct slipway_text kernel_path;
    struct slipway_text cmdline;

    uint64_t stack_bottom; /* lowest byte */
    uint64_t stack_top;    /* end */

    uint64_t rsdp_phys;   /* ACPI 2.0 or later RSDP, else 1.0, else 0 */
    uint64_t rsdp;        /* where it is mapped; 0 if absent, or if the firmware cannot read it */
    uint64_t smbios_phys; /* SMBIOS 3 entry point, else 2, else 0 */
    uint64_t smbios;
    uint64_t efi_system_table_phys;
    uint64_t efi_system_table;

    int64_t boot_time; /* seconds since 1970-01-01 by the firmware's clock; 0 if it has none */
    uint64_t tsc_hz;   /* 0 if it could not be found out */
    uint64_t tsc_loader_entry; /* TSC at the loader's first instruction in C */
    uint64_t tsc_exit_done;    /* TSC when ExitBootServices had succeeded */
    uint32_t exit_attempts;    /* calls of ExitBootServices, the successful one included */
    uint32_t reserved;
    struct slipway_text log; /* the loader's log, one line a message */

    struct slipway_array cpus; /* struct slipway_cpu, not in this block; none if not asked for */
    struct slipway_array
        mtrrs;          /* struct slipway_mtrr, all of physical memory; none: they are off */
    uint32_t apic_mode; /* SLIPWAY_APIC_..., of the boot CPU */
    uint32_t reserved_2;

    /* Facts that firmware may or may not tell. What it does not tell, or tells in a way that cannot
     * be believed, is 0, or an empty text; nothing of it stops a boot. */
    uint32_t tsc_method;      /* SLIPWAY_TSC_... */
    uint32_t entropy_sources; /* SLIPWAY_ENTROPY_... */
    uint8_t entropy[64]; /* two SHA-256 digests over all sources, so none can spoil another. With
                          * JITTER alone it must not be relied upon. For the kernel's generator,
                          * once: the loader keeps no copy, and the kernel should wipe this one */

    /* Where the loader was started from: the last hard drive node (UEFI 2.9, 10.3.5.1) in the path
     * of its device; the label that the file system gives (EFI_FILE_SYSTEM_VOLUME_LABEL, 13.5); the
     * file path nodes (10.3.5.4) of its image; the server's address in the last of DHCP
     * acknowledgement, proxy offer and PXE reply that has one (EFI_PXE_BASE_CODE_PROTOCOL, 24.3),
     * if its device has that protocol. A loader that has no volume, but a server, has the path of
     * the boot file in the newest of those, from the folder that paths of the config begin in. */
    uint8_t partition_id[16];
    uint32_t partition_id_kind; /* SLIPWAY_PARTITION_... */
    uint32_t partition_number;  /* from 1; with an MBR the signature tells only the disk */
    struct slipway_text volume_label;
    struct slipway_text loader_path; /* from the volume's root, '\' between names */
    uint8_t server_address[16];
    uint32_t server_kind; /* SLIPWAY_SERVER_... */
    uint32_t reserved_3;

    struct slipway_tpm_log tpm_log;
    struct slipway_firmware_times firmware_times;

    /* Of the boot CPU at entry. All of it is in the direct map as well. */
    uint64_t stack_phys; /* of stack_bottom */
    uint64_t gdt_phys;
    uint64_t tss_phys;
    uint64_t idt_phys;

    /* Start of the window of 8 TiB in which all lies that is neither direct map nor kernel:
     * SLIPWAY_WINDOW_BASE, or elsewhere if the kernel's image lies there. */
    uint64_t window_base;

    /* The kernel's thread-local data (PT_TLS); all 0 without any. The loader sets up none: the base
     * of FS is 0. The block of a CPU or thread has tls_bytes bytes and ends, by the x86-64 psABI
     * (ELF Handling For Thread-Local Storage, 3.4.6, variant II), at an FS base that is a multiple
     * of tls_align: it begins at that base - tls_bytes rounded up to tls_align, with a copy of the
     * template, and the rest of it is 0. At the base itself stands a pointer to it. */
    uint64_t tls_address;    /* of the template, in the kernel's image; 0 if it is empty */
    uint64_t tls_file_bytes; /* of the template */
    uint64_t tls_bytes;      /* of a block, the template included */
    uint64_t tls_align;      /* a power of two */

    /* Of the kernel's file, if the config says what it must be; else SLIPWAY_DIGEST_NONE and 0. */
    uint32_t kernel_digest_kind; /* SLIPWAY_DIGEST_... */
    uint32_t reserved_4;
    uint8_t kernel_digest[32];

    /* struct slipway_piece: the whole image, rising and without a gap in virtual addresses, rising
     * in physical ones. One, unless no free memory had room for the image as a whole. */
    struct slipway_array kernel_pieces;

    struct slipway_symbols symbols;

    /* If the note asks for it (SLIPWAY_NOTE_CRASH): memory in which a struct slipway_crash outlives
     * a reset that keeps power, in the direct map, in a range of purpose SLIPWAY_RANGE_CRASH; 0 if
     * none was free. It lies where the next start looks, unless the firmware's memory map changes.
     */
    uint64_t crash_room;
    uint64_t crash_room_bytes;

    /* The text that a kernel has left there before this start, whichever it was; empty if none. It
     * has printable ASCII and newlines alone, and is handed over once. It lies in the room: there
     * until the kernel writes to that. */
    struct slipway_text crash_report;
    int64_t crash_time;

    struct slipway_kaslr kaslr;
    struct slipway_choice choice;
};

/* What a kernel may ask for. Zero means: no wish. SLIPWAY_KERNEL_NOTE puts one into a section of
 * its own, .note.slipway; a kernel without the note gets the defaults.
 *
 * No linker script needs a line for it, nor a PT_NOTE, unless it discards notes, as many do. Then
 * the link fails: `__start_slipway_wishes_kept` is undefined. The remedy is one line, before what
 * discards:
 *
 *     .rodata : { *(.rodata .rodata.*) KEEP(*(.note.slipway)) }
 *
 * The loader looks for the wishes in every PT_NOTE; if they are in none, in every section of type
 * SHT_NOTE; and else in what the file has of the loaded segments, at multiples of 4. In the first
 * of these in which they are they may be but once.
 *
 * Besides, the macro makes a section without contents, slipway_wishes_kept, which a linker discards
 * with .note.slipway alone, and a word in .rodata.slipway that refers to it. A script that refuses
 * or discards all sections that it does not name has to name this one, too:
 *
 *     slipway_wishes_kept : { *(slipway_wishes_kept) } */
struct slipway_note_wishes {
    uint32_t version;     /* SLIPWAY_BOOT_VERSION that the kernel was built for */
    uint32_t flags;       /* SLIPWAY_NOTE_... */
    uint64_t stack_bytes; /* default 64 KiB; 4 KiB to 16 MiB, whole pages */
    /* Default SLIPWAY_HHDM_BASE, or with SLIPWAY_NOTE_KASLR a random one; a multiple of 512 GiB,
     * from the start of the upper half (with paging_levels 5 that of 5 levels) to 512 GiB below
     * SLIPWAY_WINDOW_BASE. Refused too where the machine's RAM does not fit below that, or the
     * kernel's image lies. */
    uint64_t hhdm_base;
    uint64_t ram_floor_bytes; /* refuse to boot with less RAM */
    uint32_t paging_levels;   /* 4 or 5, whatever the firmware runs with; 0: as that runs */
    uint32_t reserved;
};

struct slipway_note {
    uint32_t name_bytes;
    uint32_t wishes_bytes;
    uint32_t type;
    char name[8];
    struct slipway_note_wishes wishes;
} __attribute__((packed, aligned(4)));

#define SLIPWAY_KERNEL_NOTE(...)                                                                   \
    __asm__(SLIPWAY_QUOTE(SLIPWAY_KEEP_NOTE));                                                     \
    __attribute__((used, section(".note.slipway"),                                                 \
                   aligned(4))) static const struct slipway_note slipway_kernel_note = {           \
        8, sizeof(struct slipway_note_wishes), SLIPWAY_NOTE_TYPE, "Slipway", {__VA_ARGS__}}
#define SLIPWAY_QUOTE(...)         SLIPWAY_QUOTE_(__VA_ARGS__)
#define SLIPWAY_QUOTE_(...)        #__VA_ARGS__

/* The layout is the protocol: checked wherever the header is compiled. */
#define SLIPWAY_ASSERT_NAME_(line) slipway_layout_assert_##line
#define SLIPWAY_ASSERT_NAME(line)  SLIPWAY_ASSERT_NAME_(line)
#define SLIPWAY_ASSERT(condition)                                                                  \
    typedef char SLIPWAY_ASSERT_NAME(__LINE__)[(condition) ? 1 : -1] __attribute__((unused))
#define SLIPWAY_OFFSET(type, field) __builtin_offsetof(struct type, field)

SLIPWAY_ASSERT(sizeof(struct slipway_text) == 16);
SLIPWAY_ASSERT(sizeof(struct slipway_array) == 16);
SLIPWAY_ASSERT(sizeof(struct slipway_mapping) == 32);
SLIPWAY_ASSERT(sizeof(struct slipway_memory) == 24);
SLIPWAY_ASSERT(sizeof(struct slipway_range) == 24);
SLIPWAY_ASSERT(sizeof(struct slipway_piece) == 24);
SLIPWAY_ASSERT(sizeof(struct slipway_module) == 88);
SLIPWAY_ASSERT(sizeof(struct slipway_display_mode) == 32);
SLIPWAY_ASSERT(sizeof(struct slipway_framebuffer) == 96);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_framebuffer, width) == 24);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_framebuffer, edid) == 56);
SLIPWAY_ASSERT(sizeof(struct slipway_stage) == 40);
SLIPWAY_ASSERT(sizeof(struct slipway_cpu) == 64);
SLIPWAY_ASSERT(sizeof(struct slipway_mtrr) == 24);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_cpu, entry) == SLIPWAY_CPU_OFFSET_ENTRY);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_cpu, argument) == SLIPWAY_CPU_OFFSET_ARGUMENT);
SLIPWAY_ASSERT(sizeof(struct slipway_tpm_log) == 24);
SLIPWAY_ASSERT(sizeof(struct slipway_firmware_times) == 40);
SLIPWAY_ASSERT(sizeof(struct slipway_kaslr) == 24);
SLIPWAY_ASSERT(sizeof(struct slipway_note_wishes) == 40);
SLIPWAY_ASSERT(sizeof(struct slipway_note) == 60);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, magic) == SLIPWAY_BOOT_OFFSET_MAGIC);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, version) == SLIPWAY_BOOT_OFFSET_VERSION);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, hhdm_base) == SLIPWAY_BOOT_OFFSET_HHDM_BASE);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, root_phys) == 72);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, mappings) == 88);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, efi_map) == 184);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, kernel_virt) == 208);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, cmdline) == 272);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, stack_bottom) == 288);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, rsdp_phys) == 304);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, boot_time) == 352);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, log) == 392);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, cpus) == 408);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, apic_mode) == 440);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, tsc_method) == 448);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, entropy) == 456);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, partition_id) == 520);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, volume_label) == 544);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, server_address) == 576);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, tpm_log) == 600);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, firmware_times) == 624);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, stack_phys) == 664);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, window_base) == 696);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, tls_address) == 704);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, kernel_digest_kind) == 736);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, kernel_pieces) == 776);
SLIPWAY_ASSERT(sizeof(struct slipway_symbols) == 64);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, symbols) == 792);
SLIPWAY_ASSERT(sizeof(struct slipway_crash) == 32);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, crash_room) == 856);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, kaslr) == 896);
SLIPWAY_ASSERT(sizeof(struct slipway_choice) == 24);
SLIPWAY_ASSERT(SLIPWAY_OFFSET(slipway_boot_info, choice) == 920);
SLIPWAY_ASSERT(sizeof(struct slipway_boot_info) == 944);

#endif /* C and C++ */
#endif
