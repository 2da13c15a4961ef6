//! A kernel of the Limine boot protocol, base revision 3. What it asks for stands in requests: the
//! loader finds each by its id and stores the address of the answer into its last word.
#![no_std]
#![no_main]
#![warn(unsafe_op_in_unsafe_fn)]

use core::arch::asm;
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

#[repr(C)]
struct MemoryEntry {
    base: u64,
    bytes: u64,
    kind: u64, // 0: usable
}

#[repr(C)]
struct MemoryResponse {
    revision: u64,
    count: u64,
    entries: *const *const MemoryEntry,
}

#[repr(C)]
struct Request<Response> {
    id: [u64; 4],
    revision: u64,
    response: UnsafeCell<*const Response>,
}

/// The loader writes the answer, before the kernel runs.
unsafe impl<Response> Sync for Request<Response> {}

impl<Response> Request<Response> {
    fn response(&self) -> Option<&'static Response> {
        unsafe { self.response.get().read_volatile().as_ref() }
    }
}

#[repr(C)]
struct Tag(UnsafeCell<[u64; 3]>);

unsafe impl Sync for Tag {}

#[used]
static BASE_REVISION: Tag = Tag(UnsafeCell::new([0xf9562b2d5c95a6c8, 0x6a7b384944536bdc, 3]));

#[used]
static MEMORY_REQUEST: Request<MemoryResponse> = Request {
    id: [0xc7b1dd30df4c8b88, 0x0a82e883a194f07b, 0x67cf3d9d378a806f, 0xe304acdfc50c3c62],
    revision: 0,
    response: UnsafeCell::new(core::ptr::null()),
};

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

#[no_mangle]
pub extern "C" fn kernel_start() -> ! {
    if unsafe { BASE_REVISION.0.get().read_volatile() }[2] != 0 {
        panic!("this loader does not know base revision 3 of the protocol");
    }
    let memory = MEMORY_REQUEST.response().expect("the loader has no memory map");
    let entries = unsafe { core::slice::from_raw_parts(memory.entries, memory.count as usize) };
    let entries = entries.iter().map(|entry| unsafe { &**entry });
    let usable: u64 = entries.filter(|entry| entry.kind == 0).map(|entry| entry.bytes).sum();
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
