# The programs that measure common/vmem and the frame allocator. What they measure has the flags that
# a kernel gives it, as far as a host program can have them.
BENCH_CFLAGS   := $(filter-out -mcmodel=kernel,$(KERNEL_CFLAGS))
BENCH_VMEM_OBJ := $(call objects,bench/library,$(sort $(wildcard common/vmem/*.c common/base/fmt*.c))) \
                  $(call objects,bench/program,tests/bench/bench_space.c tests/bench/bench_vmem.c)
BENCH_FRAMES_OBJ := $(call objects,bench/library,$(sort $(wildcard common/frames/*.c common/base/fmt*.c \
                        common/memmap/*.c))) $(call objects,bench/program,tests/bench/bench_frames.c)
BENCH_PROGRAM  := $(BUILD)/bench/bench_vmem $(BUILD)/bench/bench_frames
$(eval $(call compile,bench/library,$$(CC) $$(BENCH_CFLAGS)))
$(eval $(call compile,bench/program,$$(CC) $$(BASE) -fno-pie -falign-loops=64 -falign-functions=64))

$(BUILD)/bench/bench_vmem: $(BENCH_VMEM_OBJ) $(BUILD)/files.stamp
$(BUILD)/bench/bench_frames: $(BENCH_FRAMES_OBJ) $(BUILD)/files.stamp
$(BENCH_PROGRAM):
	@echo '  LINK    $@'
	$(Q)$(CC) -no-pie $(filter %.o,$^) -lpthread -o $@

.PHONY: bench-vmem bench-frames
bench-vmem: $(BUILD)/bench/bench_vmem ## what the operations of common/vmem cost, against their goals
	@scripts/bench-vmem
bench-frames: $(BUILD)/bench/bench_frames ## what the frame allocator costs, against its goals
	@scripts/bench-frames
test: $(BENCH_PROGRAM)
