# The programs that measure common/vmem, the frame allocator and the kernel's heap, and what boots beside the loader. What they measure has the flags that
# a kernel gives it, as far as a host program can have them.
BENCH_CFLAGS   := $(filter-out -mcmodel=kernel,$(KERNEL_CFLAGS))
BENCH_VMEM_OBJ := $(call objects,bench/library,$(sort $(wildcard common/vmem/*.c common/base/fmt*.c))) \
                  $(call objects,bench/program,tests/bench/bench_space.c tests/bench/bench_vmem.c)
BENCH_FRAMES_OBJ := $(call objects,bench/library,$(sort $(wildcard common/frames/*.c common/base/fmt*.c \
                        common/memmap/*.c))) $(call objects,bench/program,tests/bench/bench_frames.c)
BENCH_HEAP_OBJ := $(call objects,bench/library,$(sort $(wildcard common/frames/*.c common/base/fmt*.c common/memmap/*.c)) \
                  kernel/memory/slabs.c) $(call objects,bench/program,tests/bench/bench_heap.c)
BENCH_PROGRAM  := $(BUILD)/bench/bench_vmem $(BUILD)/bench/bench_frames $(BUILD)/bench/bench_heap
BENCH_BOOT     := $(BUILD)/bench/limine.elf $(BUILD)/bench/both.elf $(TA)/timed.efi $(TA)/fragments.efi
$(eval $(call compile,bench/library,$$(CC) $$(BENCH_CFLAGS)))
$(eval $(call compile,bench/program,$$(CC) $$(BASE) -fno-pie -falign-loops=64 -falign-functions=64))

$(BUILD)/bench/bench_vmem: $(BENCH_VMEM_OBJ) $(BUILD)/files.stamp
$(BUILD)/bench/bench_frames: $(BENCH_FRAMES_OBJ) $(BUILD)/files.stamp
$(BUILD)/bench/bench_heap: $(BENCH_HEAP_OBJ) $(BUILD)/files.stamp
$(BENCH_PROGRAM):
	@echo '  LINK    $@'
	$(Q)$(CC) -no-pie $(filter %.o,$^) -lpthread -o $@

# A kernel for another loader, which wants it in the last 2 GiB; and the same for both.
$(BUILD)/bench/both.o: ASM_FLAGS += -DBOTH
$(BUILD)/bench/limine.o $(BUILD)/bench/both.o: tests/bench/limine.S tests/bench/bench.mk
	@mkdir -p $(@D); echo '  AS      $@'
	$(Q)$(CC) $(ASM_FLAGS) -c $< -o $@
$(BUILD)/bench/limine.elf $(BUILD)/bench/both.elf: %.elf: %.o
	@echo '  LINK    $@'
	$(Q)$(LD) $(KERNEL_LFLAGS) -Ttext-segment=0xffffffff80000000 $< -o $@.sym
	$(Q)$(OBJCOPY) --strip-all $@.sym $@

# kernel/programs/cost.c for Linux, whose tests/bench/linux/kernel/programs/user.h is found first.
BENCH_LINUX := $(BUILD)/bench/linux/cost $(BUILD)/bench/linux/shoot
$(eval $(call compile,bench/linux,$$(CC) -iquote tests/bench/linux $$(FREE) -fno-pic -fno-pie))
$(BUILD)/bench/linux/cost: $(call objects,bench/linux,kernel/programs/cost.c)
$(BUILD)/bench/linux/shoot: $(call objects,bench/linux,tests/bench/linux/shoot.c)
$(BENCH_LINUX): $(call objects,bench/linux,kernel/programs/user.c common/base/mem.c tests/bench/linux/start.S)
	@echo '  LINK    $@'
	$(Q)$(LD) -static -nostdlib --build-id=none -z noexecstack --fatal-warnings --strip-all -Ttext-segment=0x400000 $^ -o $@

.PHONY: bench-vmem bench-frames bench-heap bench-kernel
bench-vmem: $(BUILD)/bench/bench_vmem ## what the operations of common/vmem cost, against their goals
	@scripts/bench-vmem
bench-frames: $(BUILD)/bench/bench_frames ## what the frame allocator costs, against its goals
	@scripts/bench-frames
bench-heap: $(BUILD)/bench/bench_heap ## what the kernel's heap costs, beside the C library's
	@scripts/bench-heap
bench-kernel: all $(BENCH_LINUX) ## what the reference kernel and Debian's Linux take for the same operations
	@scripts/bench-kernel
bench: $(BENCH_BOOT) $(BENCH_LINUX)
test: $(BENCH_PROGRAM) $(BENCH_BOOT)
test test-boot: $(BENCH_LINUX)
