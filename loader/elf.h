// Reads and checks ELF64 kernels, ET_EXEC and ET_DYN, in this order: header, program
// headers, notes, and, once the image stands in its final pages, its relocations.
//
// Owns: what is a kernel that Slipway boots. Does not own: files, memory, page tables, and the
// words around a message. Pure: no EFI, no globals, no allocation. Every read is inside the bytes
// that the caller passes.
//
// Format: System V gABI chapters 4 and 5, x86-64 psABI 4.4 (relocation types).
//
// Every function that takes `ret_error` fills it when it fails (and leaves its other results
// untouched), and leaves it alone when it succeeds.
#pragma once

#include "common/base/sink.h"
#include "common/boot/slipway_boot.h"

#include <stdbool.h>
#include <stdint.h>

#define ELF_HEADER_BYTES    64    // what elf_parse_header reads
#define ELF_ORIGIN_BYTES    32768 // the first ones of a file, with most signatures of other formats
#define ELF_STACK_MIN_BYTES 4096  // smallest and largest boot stack that a note may ask for
#define ELF_STACK_MAX_BYTES (16 << 20)

// Each with the numbers of its message: see struct elf_error.
enum elf_status {
    ELF_OK,
    // the header
    ELF_ERR_SHORT, // a: bytes of the file
    ELF_ERR_MAGIC,
    ELF_ERR_CLASS,       // a: the class
    ELF_ERR_ENDIAN,      // a: the data encoding
    ELF_ERR_VERSION,     // a: the version
    ELF_ERR_MACHINE,     // a: the machine
    ELF_ERR_TYPE,        // a: the type
    ELF_ERR_HEADER_SIZE, // a: bytes that it claims
    ELF_ERR_PHDR_SIZE,   // a: bytes that one claims
    ELF_ERR_PHDRS_NONE,
    ELF_ERR_PHDRS_MANY,
    ELF_ERR_PHDRS_OUTSIDE, // a: offset, b: bytes, c: bytes of the file
    ELF_ERR_READ,          // a: offset, b: bytes; of elf_reader, which knows why
    // the segments
    ELF_ERR_TWICE, // index, other; a: p_type of both
    ELF_ERR_SEGMENTS_NONE,
    ELF_ERR_FILE_RANGE,    // index; a: offset, b: bytes, c: bytes of the file
    ELF_ERR_FILE_SIZE,     // index; a: bytes in the file, b: in memory
    ELF_ERR_ALIGN,         // index; a: alignment
    ELF_ERR_CONGRUENCE,    // index; a: address, b: offset, c: alignment
    ELF_ERR_WRAPS,         // index; a: address, b: bytes
    ELF_ERR_WRITE_EXECUTE, // index; [a, b)
    ELF_ERR_OVERLAP,       // index: [a, b), other: [c, d)
    ELF_ERR_SHARED_PAGE,   // index: [a, b), other: [c, d)
    ELF_ERR_WINDOW,        // index: [a, b), the window: [c, d)
    ELF_ERR_BELOW,         // index: [a, b), the lowest address: c
    ELF_ERR_ENTRY,         // a: address
    ELF_ERR_DYNAMIC_RANGE, // index; a: address, b: bytes
    ELF_ERR_RELRO_RANGE,   // index; a: address, b: bytes
    ELF_ERR_TLS_RANGE,     // index; a: address, b: bytes
    ELF_ERR_TLS_ALIGN,     // index; a: address, b: alignment
    // the note
    ELF_ERR_NOTE_NONE,
    ELF_ERR_NOTE_TRUNCATED, // a: offset, b: bytes of notes, c: bytes of the note
    ELF_ERR_NOTE_TWICE,     // a: offset, b: bytes of notes
    ELF_ERR_NOTE_SHORT,     // a: bytes
    ELF_ERR_NOTE_UNKNOWN,   // a: offset in the note's wishes
    ELF_ERR_NOTE_VERSION,   // a: the kernel's, b: the loader's
    ELF_ERR_NOTE_FLAGS,     // a: flags
    ELF_ERR_NOTE_STACK,     // a: bytes
    ELF_ERR_NOTE_HHDM,      // a: base, b: the lowest one, c: the highest
    ELF_ERR_NOTE_LEVELS,    // a: levels
    // the relocations: index in its table; d: d_tag of the table
    ELF_ERR_LIBRARY, // name
    ELF_ERR_TEXT_RELOCATIONS,
    ELF_ERR_RELOCATION_KIND,      // a: d_tag
    ELF_ERR_RELOCATION_TABLE,     // a: address, b: bytes, c: bytes an entry
    ELF_ERR_RELOCATION_TYPE,      // index; a: the type
    ELF_ERR_RELOCATION_TARGET,    // index; a: the target
    ELF_ERR_RELOCATION_READ_ONLY, // index, other: the segment; a: the target
    ELF_ERR_RELOCATION_SELF,      // index; a: the target
    ELF_ERR_RELOCATION_BITMAP,    // index
    ELF_ERR_SYMBOL_NONE,          // index; a: number of the symbol
    ELF_ERR_SYMBOL_UNDEFINED,     // index, name
    ELF_ERR_SYMBOL_TYPE,          // index, name; a: the type
    ELF_ERR_SYMBOL_COMMON,        // index, name
    // what the file is instead; a: offset of the signature
    ELF_IS_GZIP,
    ELF_IS_XZ,
    ELF_IS_ZSTD,
    ELF_IS_BZIMAGE,
    ELF_IS_PE,
    ELF_IS_MULTIBOOT,
    ELF_IS_MULTIBOOT2,
    ELF_IS_LIMINE,
};

// Why a file was refused, with the numbers of the message. Their meaning stands with each status.
// Addresses in the kernel are link addresses.
struct elf_error {
    enum elf_status status;
    uint32_t index; // of the program header or relocation in question
    uint32_t other; // of the second program header in question
    uint64_t a, b, c, d;
    char name[80]; // of a library or symbol, as much of it as has room; printable
};

// Writes the reason, without a file name before it or a newline after it.
void elf_error_print(const struct sink *sink, const struct elf_error *error);

enum elf_type {
    ELF_TYPE_EXEC, // runs where it was linked
    ELF_TYPE_DYN,  // position independent: may be slid
};

// A validated file header.
struct elf_header_view {
    enum elf_type type;
    uint64_t entry;        // link address
    uint64_t phdrs_offset; // of the program headers in the file
    uint64_t phdrs_bytes;  // all of them: phdr_count * phdr_bytes
    uint32_t phdr_count;   // 1 to 65534
    uint32_t phdr_bytes;
    // Of the section headers, unchecked: elf_find_sections does that.
    uint64_t shdrs_offset;
    uint32_t shdr_count;
    uint32_t shdr_bytes;
    uint32_t names_index;
};

// Checks the first `head_bytes` bytes of a file of `file_bytes` bytes (any number, 0 included; the
// first ELF_HEADER_BYTES are looked at). The program headers lie inside the file on success.
[[nodiscard]] enum elf_status elf_parse_header(const void *head, uint64_t head_bytes,
                                               uint64_t file_bytes,
                                               struct elf_header_view *ret_header,
                                               struct elf_error *ret_error);

// A segment of the kernel in memory: bytes [virt, virt + file_bytes) come from the file, the rest
// up to virt + mem_bytes is zero. mem_bytes is not 0. Whether it may be both writable and
// executable is a matter of elf_apply_rules.
struct elf_segment {
    uint64_t virt; // run address of the first byte, not necessarily page aligned
    uint64_t file_offset;
    uint64_t file_bytes;
    uint64_t mem_bytes;
    uint32_t phdr; // index of its program header, for messages
    bool write;
    bool execute;
};

// Pages of the image with equal rights.
struct elf_run {
    uint64_t start; // page aligned run addresses
    uint64_t end;
    uint32_t rights; // SLIPWAY_RIGHT_...
};

// Thread-local data: the template, `file_bytes` bytes at `virt` inside one segment, and what a
// block takes. Without any all is 0. An empty template has no address.
struct elf_tls {
    uint64_t virt; // run address, a multiple of align
    uint64_t file_bytes;
    uint64_t mem_bytes;
    uint64_t align; // a power of two
};

// A part of the file.
struct elf_range {
    uint64_t file_offset;
    uint64_t bytes;
};

// A validated kernel. All addresses are run addresses: link address + slide.
struct elf_image {
    enum elf_type type;
    uint64_t slide;      // modulo 2^64
    uint64_t entry;      // inside an executable segment
    uint64_t virt_start; // of the lowest page
    uint64_t virt_end;   // of the highest page, exclusive
    uint64_t align;      // largest p_align of a segment: a power of two from a page to 1 GiB
    // In rising order, disjoint. Two segments meet in one page only if their rights are equal.
    struct elf_segment *segments;
    uint32_t segment_count;
    // The pages in which segments have bytes, in rising order, disjoint, as they are after
    // relocation. Neighbours without a gap differ in their rights. At most two more than there are
    // segments.
    uint32_t run_count;
    struct elf_run *runs;
    bool relocates_all;     // by elf_rules
    uint64_t dynamic_virt;  // of PT_DYNAMIC, inside one segment's memory
    uint64_t dynamic_bytes; // 0: there is no PT_DYNAMIC
    // Whole pages that become read-only after relocation: the pages of PT_GNU_RELRO in which
    // nothing else has bytes. They belong to the writable segment in which PT_GNU_RELRO starts:
    // where it reaches beyond that segment, it is the linker's padding. Equal if there are no such
    // pages.
    uint64_t relro_start;
    uint64_t relro_end;
    struct elf_tls tls;
    struct elf_range *notes; // non-empty, inside the file
    uint32_t note_count;
};

// Bytes of memory that the lists of an image take, at most, for so many program headers.
uint64_t elf_lists_bytes(uint32_t phdr_count);

// Checks the program headers at `phdrs` (header->phdrs_bytes bytes, read from
// header->phdrs_offset; no alignment needed) and plans where the image runs. An ET_DYN kernel
// linked below SLIPWAY_KERNEL_MIN is slid so that its lowest page, rounded down to the largest
// p_align, comes to SLIPWAY_KERNEL_DEFAULT; everything else runs where it is linked. The image's
// lists stand in `lists`: elf_lists_bytes(header->phdr_count) bytes, aligned to 8, which the caller
// keeps as long as the image. Takes n log n steps for n segments, n if they are in rising order.
[[nodiscard]] enum elf_status elf_parse_segments(const struct elf_header_view *header,
                                                 const void *phdrs, uint64_t file_bytes,
                                                 void *lists, struct elf_image *ret_image,
                                                 struct elf_error *ret_error);

// Moves an ET_DYN image by so much, modulo 2^64, a multiple of its alignment and of that of its
// thread-local template: every run address of it. Before elf_relocate; whoever has the image in
// memory moves its pieces by as much.
void elf_slide(struct elf_image *image, uint64_t by);

// What a boot protocol asks of an image beyond a sound file. All zero: Slipway's rules. They are
// not elf_parse_segments' because a kernel tells its protocol in its memory.
struct elf_rules {
    uint64_t lowest;        // no segment lies below
    bool may_write_execute; // a segment may be writable and executable
    bool ignores_relro;     // pages of PT_GNU_RELRO stay writable
    bool relocates_all;     // relocations may lie in segments that are not writable
    bool is_one_run;        // the image is contiguous in physical memory, and aligned as it asks
};

// Refuses an image that breaks the rules: its lowest segment lies too low, or else a segment, the
// first among the program headers, has rights that it may not have. On success the image is that of
// the rules. is_one_run is a matter of who allocates the image's memory.
[[nodiscard]] enum elf_status elf_apply_rules(struct elf_image *image,
                                              const struct elf_rules *rules,
                                              struct elf_error *ret_error);

// The segment, of those that are writable and executable, whose program header comes first; or
// null.
const struct elf_segment *elf_find_write_execute(const struct elf_image *image);

// Looks for the kernel's wishes among the notes of one PT_NOTE, `bytes` bytes at `notes`; the other
// notes there may be anything. If the wishes are there, *wishes is filled (fields that the kernel
// does not know are 0) and *found becomes true. The caller sets *found to false before the first
// PT_NOTE and passes it on to the next: a second note with wishes is an error. Defaults are not
// filled in: 0 means no wish.
[[nodiscard]] enum elf_status elf_parse_note(const void *notes, uint64_t bytes,
                                             struct slipway_note_wishes *wishes, bool *found,
                                             struct elf_error *ret_error);

// Finds out what a file is instead of a kernel for Slipway: another format, or a kernel made for
// another boot protocol. Searches `count` bytes, which stand at `offset` in the file, for the
// signatures that these formats and protocols have there. True: *ret_origin has the words (an
// ELF_IS_... status), and the signature's offset in the file as a.
//
// It has two uses. Where the headers are refused, the origin in the first ELF_ORIGIN_BYTES explains
// why. A kernel without a Slipway note (elf_find_wishes) is refused if one of its segments has an
// origin: it would wait for another loader's answers.
[[nodiscard]] bool elf_find_origin(const void *bytes, uint64_t count, uint64_t offset,
                                   struct elf_error *ret_origin);

// A part of an image in memory: the bytes [virt, virt + bytes) stand at `memory`.
struct elf_piece {
    uint64_t virt; // run address
    uint64_t bytes;
    uint8_t *memory;
};

// Where an image stands: pieces in rising order, disjoint. Neighbours in the image need not be
// neighbours in memory, and a value may begin in one piece and end in the next.
struct elf_memory {
    const struct elf_piece *pieces;
    uint64_t count;
};

// The piece that holds the byte at `virt`, or null.
const struct elf_piece *elf_find_piece(const struct elf_memory *memory, uint64_t virt);

// The memory of `virt`, which lies in a piece. *ret_bytes: of `bytes` bytes, not 0, as many as
// there are from there on in that piece.
uint8_t *elf_memory_at(const struct elf_memory *memory, uint64_t virt, uint64_t bytes,
                       uint64_t *ret_bytes);

// Copy [virt, virt + bytes), all of which lies in pieces, out of the image and into it.
void elf_read_memory(const struct elf_memory *memory, uint64_t virt, void *ret_bytes,
                     uint64_t bytes);
void elf_write_memory(const struct elf_memory *memory, uint64_t virt, const void *from,
                      uint64_t bytes);

// Relocates the image that stands in `memory`, whose pieces hold every byte of every segment: file
// bytes copied and the rest zero. All relocations are checked before the first is applied: on
// failure the image is unchanged. Writes to writable segments only, unless image->relocates_all.
[[nodiscard]] enum elf_status elf_relocate(const struct elf_image *image,
                                           const struct elf_memory *memory,
                                           struct elf_error *ret_error);

// Reads of the file what the image does not have.
struct elf_reader {
    // Returns the `bytes` bytes, not 0, at `offset`, all in the file, called `what` in messages.
    // They are valid until the next call. Null if they cannot be read, which `read` reports.
    const void *(*read)(void *context, uint64_t offset, uint64_t bytes, const char *what);
    void *context;
    uint64_t file_bytes;
};

// The section headers: ELF_SECTION_BYTES each, the first is no section's.
struct elf_sections {
    struct elf_range headers;
    uint32_t count;
    uint32_t names_index; // of the section with their names; 0: there is none
};
#define ELF_SECTION_BYTES 64
#define ELF_SYMBOL_BYTES  24

// Finds the section headers, which a kernel need not have. Where they do not lie in the file, or
// are of another size, it has none, and all of the result is 0. Fails by ELF_ERR_READ alone.
[[nodiscard]] enum elf_status elf_find_sections(const struct elf_header_view *header,
                                                const struct elf_reader *reader,
                                                struct elf_sections *ret_sections,
                                                struct elf_error *ret_error);

// Finds the kernel's wishes where linker scripts leave them: in every PT_NOTE; if they are in none,
// in every section of type SHT_NOTE; and else, at multiples of 4, in the file's bytes of the
// segments, as they stand in `memory`, not yet relocated. Results are those of elf_parse_note, with
// *found false before. In the first of the three places with wishes they may be but once. Section
// headers are read only without wishes in a PT_NOTE, and the image is searched only without them in
// both.
[[nodiscard]] enum elf_status
elf_find_wishes(const struct elf_header_view *header, const struct elf_image *image,
                const struct elf_memory *memory, const struct elf_reader *reader,
                struct slipway_note_wishes *wishes, bool *found, struct elf_error *ret_error);

// A section in memory, by its header, unchecked. 0 bytes: there is none.
struct elf_section {
    uint64_t virt; // link address
    uint64_t bytes;
};

// Finds the first section with this name. Fails by ELF_ERR_READ alone.
[[nodiscard]] enum elf_status elf_find_section(const struct elf_header_view *header,
                                               const struct elf_reader *reader, const char *name,
                                               struct elf_section *ret_section,
                                               struct elf_error *ret_error);

// What of the file SLIPWAY_NOTE_SYMBOLS brings. A part that the file does not have, or has
// wrongly, has 0 bytes. Symbols without names are none. The contents are not looked at.
struct elf_symbols {
    struct elf_range sections;      // whole entries of ELF_SECTION_BYTES,
    struct elf_range section_names; // 0 without sections
    struct elf_range symbols;       // whole entries of ELF_SYMBOL_BYTES: of the first SHT_SYMTAB,
    struct elf_range symbol_names;  // 0 without symbols
};

// Finds these parts by the section headers. Fails by ELF_ERR_READ alone.
[[nodiscard]] enum elf_status elf_find_symbols(const struct elf_header_view *header,
                                               const struct elf_reader *reader,
                                               struct elf_symbols *ret_symbols,
                                               struct elf_error *ret_error);
