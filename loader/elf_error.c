// The words of every refusal: see elf.h.
#include "loader/elf.h"

#include "loader/elf_format.h"

#include "common/base/arith.h"
#include "common/base/assert.h"
#include "common/base/fmt.h"

// In a template, $i and $o are the two indices, $a to $d the values in hexadecimal, $A to $D the
// same in decimal, $n is the name of the number a and $r what to do about it, $s the name of a
// library or symbol, and $t that of the table whose tag is d.
static const char *const templates[] = {
    [ELF_OK] = "no error",
    [ELF_ERR_SHORT] = "$A bytes are too few for an ELF header",
    [ELF_ERR_MAGIC] = "not an ELF file",
    [ELF_ERR_CLASS] = "not a 64-bit ELF file (class $A)",
    [ELF_ERR_ENDIAN] = "not a little-endian ELF file (data encoding $A)",
    [ELF_ERR_VERSION] = "ELF version $A is unknown",
    [ELF_ERR_MACHINE] = "not for x86-64 (machine $A)",
    [ELF_ERR_TYPE] = "neither executable nor position-independent executable (type $A)",
    [ELF_ERR_HEADER_SIZE] = "the ELF header claims $A bytes instead of 64",
    [ELF_ERR_PHDR_SIZE] = "a program header claims $A bytes instead of 56",
    [ELF_ERR_PHDRS_NONE] = "no program headers",
    [ELF_ERR_PHDRS_MANY] =
        "65535 or more program headers (PN_XNUM), of which 65534 are supported; put more sections into a segment",
    [ELF_ERR_PHDRS_OUTSIDE] =
        "the program headers, $B bytes at offset $a, lie outside the file of $C bytes",
    [ELF_ERR_READ] = "cannot read $B bytes at offset $a",

    [ELF_ERR_TWICE] = "program header $i: a second $n, the first is $o",
    [ELF_ERR_SEGMENTS_NONE] = "nothing to load",
    [ELF_ERR_FILE_RANGE] = "segment $i, $B bytes at offset $a, lies outside the file of $C bytes",
    [ELF_ERR_FILE_SIZE] = "segment $i has $A bytes in the file but only $B in memory",
    [ELF_ERR_ALIGN] = "segment $i: alignment $a is not a power of two up to 1 GiB",
    [ELF_ERR_CONGRUENCE] =
        "segment $i: address $a and file offset $b differ modulo the alignment $c",
    [ELF_ERR_WRAPS] = "segment $i, $b bytes at $a, runs past the end of the address space",
    [ELF_ERR_WRITE_EXECUTE] = "segment $i [$a, $b) is writable and executable",
    [ELF_ERR_OVERLAP] = "segment $i [$a, $b) overlaps segment $o [$c, $d)",
    [ELF_ERR_SHARED_PAGE] =
        "segment $i [$a, $b) shares a page with segment $o [$c, $d), which has other rights",
    [ELF_ERR_WINDOW] = "segment $i [$a, $b) lies outside the kernel's window [$c, $d)",
    [ELF_ERR_BELOW] = "segment $i [$a, $b) lies below $c, where kernels of its protocol begin",
    [ELF_ERR_ENTRY] = "the entry point $a lies in no executable segment",
    [ELF_ERR_DYNAMIC_RANGE] =
        "the dynamic section (program header $i), $b bytes at $a, lies in no single segment",
    [ELF_ERR_RELRO_RANGE] =
        "PT_GNU_RELRO (program header $i), $b bytes at $a, starts in no writable segment",

    [ELF_ERR_TLS_RANGE] =
        "the thread-local data (program header $i), $b bytes at $a, lies in no single segment",
    [ELF_ERR_TLS_ALIGN] =
        "the thread-local data (program header $i) at $a is not aligned to $b, a power of two up to 1 GiB",

    [ELF_ERR_NOTE_NONE] = "no SLIPWAY_KERNEL_NOTE",
    [ELF_ERR_NOTE_TRUNCATED] =
        "the Slipway note, $C bytes at byte $A, runs past the end of its $B bytes of notes",
    [ELF_ERR_NOTE_TWICE] = "a second Slipway note (at byte $A of its $B bytes of notes)",
    [ELF_ERR_NOTE_SHORT] = "the Slipway note holds $A bytes, too few for its version",
    [ELF_ERR_NOTE_UNKNOWN] =
        "the Slipway note asks at byte $A for something that this loader does not know",
    [ELF_ERR_NOTE_VERSION] = "built for version $A of the boot protocol; this loader speaks $B",
    [ELF_ERR_NOTE_FLAGS] = "the Slipway note has unknown flags ($a)",
    [ELF_ERR_NOTE_STACK] =
        "the Slipway note asks for a stack of $A bytes, not a multiple of 4 KiB up to 16 MiB",
    [ELF_ERR_NOTE_HHDM] =
        "the Slipway note asks for a direct map at $a, not a multiple of 512 GiB from $b to $c",
    [ELF_ERR_NOTE_LEVELS] = "the Slipway note asks for $A paging levels, neither 4 nor 5",

    [ELF_ERR_LIBRARY] = "needs the shared library $s (DT_NEEDED); link statically",
    [ELF_ERR_TEXT_RELOCATIONS] = "has text relocations (DT_TEXTREL); compile with -fpie",
    [ELF_ERR_RELOCATION_KIND] = "relocation kind $n is not supported$r",
    [ELF_ERR_RELOCATION_TABLE] =
        "$t, $B bytes at $a in entries of $C, is malformed or lies in no single segment",
    [ELF_ERR_RELOCATION_TYPE] = "relocation $i of $t: type $A ($n) is not supported$r",
    [ELF_ERR_RELOCATION_TARGET] = "relocation $i of $t: target $a lies in no segment",
    [ELF_ERR_RELOCATION_READ_ONLY] =
        "relocation $i of $t: target $a lies in segment $o, which is not writable",
    [ELF_ERR_RELOCATION_SELF] =
        "relocation $i of $t: target $a lies in a table that the relocations need",
    [ELF_ERR_RELOCATION_BITMAP] = "relocation $i of $t is a bitmap, and no address comes before it",
    [ELF_ERR_SYMBOL_NONE] = "relocation $i of $t: symbol $A is not in a symbol table (DT_SYMTAB)",
    [ELF_ERR_SYMBOL_UNDEFINED] =
        "relocation $i of $t: symbol $s is undefined; link what defines it, or declare it weak",
    [ELF_ERR_SYMBOL_TYPE] =
        "relocation $i of $t: symbol $s is of type $n, which is not supported$r",
    [ELF_ERR_SYMBOL_COMMON] =
        "relocation $i of $t: symbol $s has no memory (SHN_COMMON); link with -d",

    [ELF_IS_GZIP] = "gzip-compressed: decompress it",
    [ELF_IS_XZ] = "xz-compressed: decompress it",
    [ELF_IS_ZSTD] = "zstd-compressed: decompress it",
    [ELF_IS_BZIMAGE] = "a Linux kernel (bzImage), which protocol = linux starts",
    [ELF_IS_PE] = "a PE file (EFI application), which protocol = efi starts",
    [ELF_IS_MULTIBOOT] =
        "made for the Multiboot protocol (its magic is at offset $a): use a loader of that protocol",
    [ELF_IS_MULTIBOOT2] =
        "made for the Multiboot2 protocol (its magic is at offset $a): use a loader of that protocol",
    [ELF_IS_LIMINE] =
        "made for the Limine protocol (its magic is at offset $a): protocol = limine boots such kernels",
};

struct number_name {
    enum elf_status status; // whose a it names
    uint64_t number;
    const char *name;
    const char *remedy; // or null
};

#define LIBRARY  "; there is no library to copy from: compile with -fpie"
#define RESOLVER "; no resolver runs before the kernel: compile without ifunc"
#define TLS      "; compile with -ftls-model=local-exec"
#define ANDROID  "; link with --pack-dyn-relocs=relr alone"
#define NARROW   "; compile with -fpie"

static const struct number_name names[] = {
    {ELF_ERR_TWICE, ELF_PT_DYNAMIC, "PT_DYNAMIC", NULL},
    {ELF_ERR_TWICE, ELF_PT_TLS, "PT_TLS", NULL},
    {ELF_ERR_TWICE, ELF_PT_GNU_RELRO, "PT_GNU_RELRO", NULL},
    {ELF_ERR_RELOCATION_KIND, ELF_DT_REL, "DT_REL", NULL},
    {ELF_ERR_RELOCATION_KIND, ELF_DT_ANDROID_REL, "DT_ANDROID_REL", ANDROID},
    {ELF_ERR_RELOCATION_KIND, ELF_DT_ANDROID_RELA, "DT_ANDROID_RELA", ANDROID},
    {ELF_ERR_RELOCATION_KIND, ELF_DT_ANDROID_RELR, "DT_ANDROID_RELR", ANDROID},
    {ELF_ERR_RELOCATION_TYPE, 2, "R_X86_64_PC32", NARROW},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_COPY, "R_X86_64_COPY", LIBRARY},
    {ELF_ERR_RELOCATION_TYPE, 10, "R_X86_64_32", NARROW},
    {ELF_ERR_RELOCATION_TYPE, 11, "R_X86_64_32S", NARROW},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_DTPMOD64, "R_X86_64_DTPMOD64", TLS},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_DTPOFF64, "R_X86_64_DTPOFF64", TLS},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_TPOFF64, "R_X86_64_TPOFF64", TLS},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_TLSDESC, "R_X86_64_TLSDESC", TLS},
    {ELF_ERR_RELOCATION_TYPE, ELF_R_X86_64_IRELATIVE, "R_X86_64_IRELATIVE", RESOLVER},
    {ELF_ERR_SYMBOL_TYPE, ELF_STT_TLS, "STT_TLS", TLS},
    {ELF_ERR_SYMBOL_TYPE, ELF_STT_GNU_IFUNC, "STT_GNU_IFUNC", RESOLVER},
};

static struct number_name find_name(const struct elf_error *error) {
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].status == error->status && names[i].number == error->a)
            return names[i];
    return (struct number_name){.name = "unknown"};
}

static const char *table_name(uint64_t tag) {
    return tag == ELF_DT_RELR ? "DT_RELR" : tag == ELF_DT_JMPREL ? "DT_JMPREL" : "DT_RELA";
}

static void print_value(const struct sink *sink, char what, const void *context) {
    const struct elf_error *error = context;
    const uint64_t values[] = {error->a, error->b, error->c, error->d};
    struct number_name name = find_name(error);
    if (what == 'i')
        fmt_print(sink, "%u", error->index);
    else if (what == 'o')
        fmt_print(sink, "%u", error->other);
    else if (what == 'n')
        fmt_print(sink, "%s", name.name);
    else if (what == 'r')
        fmt_print(sink, "%s", name.remedy == NULL ? "" : name.remedy);
    else if (what == 's')
        fmt_print(sink, "%s", error->name);
    else if (what == 't')
        fmt_print(sink, "%s", table_name(error->d));
    else if (what >= 'a' && what <= 'd')
        fmt_print(sink, "0x%lx", values[what - 'a']);
    else {
        ASSERT(what >= 'A' && what <= 'D');
        fmt_print(sink, "%lu", values[what - 'A']);
    }
}

void elf_error_print(const struct sink *sink, const struct elf_error *error) {
    ASSERT(error->status < ARRAY_LEN(templates) && templates[error->status] != NULL);
    fmt_template(sink, templates[error->status], print_value, error);
}
