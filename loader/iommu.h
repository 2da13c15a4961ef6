// IOMMUs that firmware has left on, turned off: a device's DMA address is a physical address, and
// its interrupt is what it says, for a kernel that knows of no IOMMU. After the exit, with
// interrupts off and the I/O APICs masked.
//
// VT-d 3.3: global command and status 10.4.4 and 10.4.5, queued invalidation 6.5.2, protected
// memory 10.4.16. AMD IOMMU 3.07: control register 3.4.1.
#pragma once

#include <efi.h>

#include <stdint.h>

// Turns off, in the VT-d unit with its registers at `phys`: translation of DMA, remapping of
// interrupts, queued invalidation, and the protection of memory ranges from DMA. What does not go
// off is a failure, which is recorded: a kernel could not use its devices. Only the queue may stay,
// which the log says.
[[nodiscard]] EFI_STATUS iommu_stop_vtd(uint64_t phys);

// The same for an AMD IOMMU: its logs, its command buffer, then all of it.
[[nodiscard]] EFI_STATUS iommu_stop_amd(uint64_t phys);
