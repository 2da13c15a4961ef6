//! What Slipway enters. slipway_boot.h says what a kernel finds, and what it may ask for in the note.
#![no_std]
#![no_main]
#![warn(unsafe_op_in_unsafe_fn)]

use core::arch::asm;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

/// `struct slipway_note`, with all wishes at their defaults.
#[repr(C)]
struct Note {
    name_bytes: u32,
    wishes_bytes: u32,
    kind: u32,
    name: [u8; 8],
    version: u32,
    flags: u32,
    wishes: [u32; 8],
}

#[used]
#[link_section = ".note.slipway"]
static NOTE: Note =
    Note { name_bytes: 8, wishes_bytes: 40, kind: 1, name: *b"Slipway\0", version: 1, flags: 0, wishes: [0; 8] };

/// `struct slipway_array`.
#[repr(C)]
struct Array {
    address: u64,
    count: u32,
    stride: u32,
}

impl Array {
    /// The records, whatever the loader's own size of one is.
    ///
    /// # Safety
    /// The array is one of the loader's, and of this kind of record.
    unsafe fn records<T: 'static>(&self) -> impl Iterator<Item = &'static T> + '_ {
        (0..u64::from(self.count)).map(move |i| unsafe { &*((self.address + i * u64::from(self.stride)) as *const T) })
    }
}

/// `struct slipway_memory`.
#[repr(C)]
struct Memory {
    start_phys: u64,
    bytes: u64,
    kind: u32,
    in_direct: u32,
}

const USABLE: u32 = 1;

/// The start of `struct slipway_boot_info`.
#[repr(C)]
pub struct BootInfo {
    magic: u64,
    version: u32,
    header_bytes: u32,
    total_bytes: u64,
    loader_name: [u64; 2],
    loader_version: [u64; 2],
    hhdm_base: u64,
    hhdm_end: u64,
    root_phys: u64,
    paging_levels: u32,
    table_pages: u32,
    mappings: Array,
    memory: Array,
}

struct Com1;

impl Write for Com1 {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while port_read(0x3fd) & 0x20 == 0 {}
            port_write(0x3f8, byte);
        }
        Ok(())
    }
}

fn port_write(port: u16, value: u8) {
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) }
}

fn port_read(port: u16) -> u8 {
    let value;
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) }
    value
}

fn stop() -> ! {
    loop {
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) }
    }
}

/// # Safety
/// The loader calls it, once.
#[no_mangle]
pub unsafe extern "C" fn kernel_start(boot: &'static BootInfo) -> ! {
    let memory = unsafe { boot.memory.records::<Memory>() };
    let usable: u64 = memory.filter(|region| region.kind == USABLE).map(|region| region.bytes).sum();
    let _ = writeln!(Com1, "Hello from @NAME@: {} MiB of memory are free.", usable >> 20);
    port_write(0xf4, 0x10); // ends QEMU, if `slipway` has started it
    stop()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let _ = writeln!(Com1, "{info}");
    port_write(0xf4, 0x01);
    stop()
}

// What the compiler may call: libcore has none of its own without an operating system.

#[no_mangle]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    unsafe { asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _, inout("rcx") bytes => _) }
    to
}

#[no_mangle]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= bytes {
        return unsafe { memcpy(to, from, bytes) };
    }
    let (last_to, last_from) = (to.wrapping_add(bytes).wrapping_sub(1), from.wrapping_add(bytes).wrapping_sub(1));
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rdi") last_to => _, inout("rsi") last_from => _,
             inout("rcx") bytes => _)
    }
    to
}

#[no_mangle]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    unsafe { asm!("rep stosb", inout("rdi") to => _, in("al") value as u8, inout("rcx") bytes => _) }
    to
}

#[no_mangle]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    for i in 0..bytes {
        let (a, b) = unsafe { (left.add(i).read_volatile(), right.add(i).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}
