// ELF64 as it stands in a file, little-endian: structures and numbers, nothing else. Nothing in a
// file is aligned, so these are copied out, never pointed at.
//
// System V gABI (2013 draft, DT_RELR of 2018) chapters 4 and 5; x86-64 psABI 1.0 section 4.4; GNU
// extensions as in the Linux Standard Base 5.0, section 11.
#pragma once

#include <stdint.h>

// e_ident
enum {
    ELF_IDENT_BYTES = 16,
    ELF_IDENT_CLASS = 4,
    ELF_IDENT_DATA = 5,
    ELF_IDENT_VERSION = 6,
    ELF_CLASS_64 = 2,
    ELF_DATA_LITTLE = 1,
    ELF_VERSION_CURRENT = 1,
};

// e_type, e_machine, e_phnum
enum {
    ELF_ET_EXEC = 2,
    ELF_ET_DYN = 3,
    ELF_EM_X86_64 = 62,
    ELF_PN_XNUM = 0xffff, // the real number is elsewhere
};

// e_shstrndx; sh_type
enum {
    ELF_SHN_XINDEX = 0xffff, // the real index is sh_link of the first section header
    ELF_SHT_SYMTAB = 2,
    ELF_SHT_STRTAB = 3,
    ELF_SHT_NOTE = 7,
};

struct elf64_shdr {
    uint32_t name;
    uint32_t type;
    uint64_t flags;
    uint64_t virt;
    uint64_t offset;
    uint64_t bytes;
    uint32_t link;
    uint32_t info;
    uint64_t align;
    uint64_t entry_bytes;
};
_Static_assert(sizeof(struct elf64_shdr) == 64);

struct elf64_header {
    uint8_t ident[ELF_IDENT_BYTES];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t phdrs_offset;
    uint64_t shdrs_offset;
    uint32_t flags;
    uint16_t header_bytes;
    uint16_t phdr_bytes;
    uint16_t phdr_count;
    uint16_t shdr_bytes;
    uint16_t shdr_count;
    uint16_t names_index;
};
_Static_assert(sizeof(struct elf64_header) == 64);

// p_type
enum {
    ELF_PT_LOAD = 1,
    ELF_PT_DYNAMIC = 2,
    ELF_PT_INTERP = 3,
    ELF_PT_NOTE = 4,
    ELF_PT_TLS = 7,
    ELF_PT_GNU_RELRO = 0x6474e552,
};

// p_flags; PF_R is not looked at: a present x86 page is always readable
enum {
    ELF_PF_X = 1,
    ELF_PF_W = 2,
};

struct elf64_phdr {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virt;
    uint64_t phys;
    uint64_t file_bytes;
    uint64_t mem_bytes;
    uint64_t align;
};
_Static_assert(sizeof(struct elf64_phdr) == 56);

// A note: this, the name, padding, the descriptor, padding.
struct elf64_note {
    uint32_t name_bytes; // NUL included
    uint32_t desc_bytes;
    uint32_t type;
};
_Static_assert(sizeof(struct elf64_note) == 12);

// d_tag
enum {
    ELF_DT_NULL = 0,
    ELF_DT_NEEDED = 1,
    ELF_DT_PLTRELSZ = 2,
    ELF_DT_STRTAB = 5,
    ELF_DT_SYMTAB = 6,
    ELF_DT_RELA = 7,
    ELF_DT_RELASZ = 8,
    ELF_DT_RELAENT = 9,
    ELF_DT_STRSZ = 10,
    ELF_DT_SYMENT = 11,
    ELF_DT_REL = 17,
    ELF_DT_PLTREL = 20,
    ELF_DT_TEXTREL = 22,
    ELF_DT_JMPREL = 23,
    ELF_DT_FLAGS = 30,
    ELF_DT_RELRSZ = 35,
    ELF_DT_RELR = 36,
    ELF_DT_RELRENT = 37,
    ELF_DT_KNOWN,                    // all that can be done are below
    ELF_DT_ANDROID_REL = 0x6000000f, // of LLVM's linker, in formats of Android's
    ELF_DT_ANDROID_RELA = 0x60000011,
    ELF_DT_ANDROID_RELR = 0x6fffe000,
    ELF_DF_TEXTREL = 4, // in the value of DT_FLAGS
};

struct elf64_dynamic {
    uint64_t tag;
    uint64_t value;
};
_Static_assert(sizeof(struct elf64_dynamic) == 16);

// The low half of r_info; S is the symbol's value, A the addend
enum {
    ELF_R_X86_64_NONE = 0,
    ELF_R_X86_64_64 = 1,        // S + A
    ELF_R_X86_64_COPY = 5,      // the symbol's bytes
    ELF_R_X86_64_GLOB_DAT = 6,  // S
    ELF_R_X86_64_JUMP_SLOT = 7, // S
    ELF_R_X86_64_RELATIVE = 8,  // slide + A
    ELF_R_X86_64_DTPMOD64 = 16,
    ELF_R_X86_64_DTPOFF64 = 17,
    ELF_R_X86_64_TPOFF64 = 18,
    ELF_R_X86_64_TLSDESC = 36,
    ELF_R_X86_64_IRELATIVE = 37, // what the function at slide + A returns
};

struct elf64_rela {
    uint64_t target;
    uint32_t type; // low half of r_info
    uint32_t symbol;
    uint64_t addend;
};
_Static_assert(sizeof(struct elf64_rela) == 24);

// st_info / 16, st_info % 16, st_shndx
enum {
    ELF_STB_GLOBAL = 1,
    ELF_STB_WEAK = 2,
    ELF_STT_OBJECT = 1,
    ELF_STT_TLS = 6,
    ELF_STT_GNU_IFUNC = 10,
    ELF_SHN_UNDEF = 0,
    ELF_SHN_ABS = 0xfff1,
    ELF_SHN_COMMON = 0xfff2,
};

struct elf64_symbol {
    uint32_t name; // offset in DT_STRTAB
    uint8_t info;
    uint8_t other;
    uint16_t section;
    uint64_t value;
    uint64_t bytes;
};
_Static_assert(sizeof(struct elf64_symbol) == 24);
