// Objects of any size over frames, for several CPUs. Pure: host tests and a benchmark run the same
// file over memory of their own. heap.h is what the kernel calls.
//
//     a slab, one frame                                a run, as many frames as it takes
//     | header | object | object | object | ... |      | header |        one object         |
//     0       64                           4096        0       64
//
// Small objects come in classes of one size each. A slab is a frame cut into objects of one class;
// its header has a list of those that are in it. Between slabs and callers each CPU keeps a short
// list of free objects for each class, which no other CPU touches: an allocation takes the first
// object of the list, a free puts it back there, whoever allocated it, by no lock and no locked
// instruction. Only when that list is empty, or too long, half of what it may hold moves from slabs
// or back to slabs, under the lock of the class (Bonwick and Adams: Magazines and Vmem, 2001, have
// the same by arrays). A slab all of whose objects are back is a free frame at once.
//
// An object that is larger than the largest class has a run of frames of its own. A holder of whole
// frames is better served by the frame allocator, since the header makes them one more.
//
// The header is at the start of the frame, so an object's is found by its address. What is freed
// and is no object, or is free already, is an error where that can be seen by a few instructions:
// an address outside of the memory, in a frame without a header, or inside an object; and a free
// object bears a mark, until it is allocated or somebody writes over it.
#pragma once

#include <stdint.h>

#define SLABS_CPUS_MAX     64
#define SLABS_CLASSES      25
#define SLABS_SMALL_MAX    2016                // bytes of the largest class
#define SLABS_BYTES_MAX    (UINT64_C(1) << 40) // what is larger is never there
#define SLABS_HEADER_BYTES 64
#define SLABS_ALIGN        16 // of every object

enum slabs_status {
    SLABS_OK,
    SLABS_ERR_WILD, // the address is not that of an object
    SLABS_ERR_FREE, // the object is free
};

// Where frames come from. Called with the lock of a class held, or with none: they may take locks
// of their own, and do not come back here.
struct slabs_ops {
    // The address of `count` frames in a row, aligned as a frame is; null: there are none.
    void *(*alloc)(void *context, uint64_t count);
    void (*free)(void *context, void *first, uint64_t count);
    void *context;
};

// A free object. The slab's own.
struct slabs_object {
    struct slabs_object *next;
    uint64_t mark;
};

// Free objects that a CPU has at hand.
struct slabs_list {
    struct slabs_object *first;
    uint32_t count;
    uint32_t limit; // more of them go back to their slabs
};

// CPUs fetch lines by pairs: what two of them write is further apart.
struct slabs_cpu {
    _Alignas(128) struct slabs_list lists[SLABS_CLASSES];
};

struct slabs_header;

struct slabs_class {
    _Alignas(128) uint32_t lock;
    uint32_t bytes;               // of an object
    struct slabs_header *partial; // slabs with a free object in them, by their `next`
    uint64_t outside;             // objects that are in no slab: in use, or on a CPU's list
    uint64_t slabs;
};

// The fields are the implementation's own.
struct slabs {
    struct slabs_ops ops;
    uint64_t start, bytes; // where frames can be
    uint64_t runs, run_frames;
    uint8_t class_of[SLABS_SMALL_MAX / SLABS_ALIGN + 1]; // by size in units of SLABS_ALIGN
    struct slabs_class classes[SLABS_CLASSES];
    struct slabs_cpu cpus[SLABS_CPUS_MAX];
};

// Starts without a frame. All that ops->alloc ever returns lies in [start, start + bytes).
void slabs_init(struct slabs *slabs, const struct slabs_ops *ops, uint64_t start, uint64_t bytes);

// The calls below are made on CPU `cpu`, below SLABS_CPUS_MAX, and nothing else on that CPU enters
// meanwhile: in a kernel, interrupts are off.

// An object of so many bytes, 0 too, aligned to SLABS_ALIGN; its contents do not matter. Null:
// there is no memory, or it is too large; then nothing has changed.
void *slabs_alloc(struct slabs *slabs, unsigned cpu, uint64_t bytes);

// Takes an object back, on any CPU. Nothing changes on failure.
[[nodiscard]] enum slabs_status slabs_free(struct slabs *slabs, unsigned cpu, void *object);

// What `object`, which is allocated or free, is as far as its address and its frame tell: SLABS_OK,
// and how many bytes it has room for; SLABS_ERR_FREE, a run that is free; or SLABS_ERR_WILD.
[[nodiscard]] enum slabs_status slabs_find(const struct slabs *slabs, const void *object,
                                           uint64_t *ret_bytes);

// Moves what the CPU has at hand back to slabs, and frees those that are whole.
void slabs_trim(struct slabs *slabs, unsigned cpu);

struct slabs_statistics {
    uint64_t objects; // allocated
    uint64_t bytes;   // that they have room for
    uint64_t at_hand; // free objects on the lists of CPUs
    uint64_t frames;  // of slabs and runs
};

// Exact while no other CPU allocates or frees.
void slabs_get_statistics(struct slabs *slabs, struct slabs_statistics *ret_statistics);
