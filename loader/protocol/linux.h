// What Linux gets besides its load options: its initrd, which the kernel's EFI stub asks for by
// EFI_LOAD_FILE2_PROTOCOL on the device path of LINUX_EFI_INITRD_MEDIA_GUID.
//
// Sources: UEFI 2.9, 13.2 (LoadFile2), 10.3.5.3 (vendor-defined media); Linux,
// Documentation/admin-guide/efi-stub.rst and include/linux/efi.h.
#pragma once

#include <efi.h>

#include <stdint.h>

// Offers the loaded modules (see modules.h), `count` of them, as one initrd: one behind the other,
// each at a multiple of 4, as cpio archives have it. Without a byte of them there is no initrd.
// Failures are recorded, and nothing is offered then. linux_withdraw_initrd ends it; until then the
// modules must stay.
[[nodiscard]] EFI_STATUS linux_offer_initrd(uint32_t count);

// Does nothing if nothing is offered.
void linux_withdraw_initrd(void);
