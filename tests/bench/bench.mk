# The program that measures common/vmem. The library has the flags that a kernel gives it, as far as
# a host program can have them.
BENCH_CFLAGS  := $(filter-out -mcmodel=kernel,$(KERNEL_CFLAGS))
BENCH_PROGRAM := $(BUILD)/bench/bench_vmem
BENCH_OBJ     := $(call objects,bench/library,$(sort $(wildcard common/vmem/*.c common/base/fmt*.c))) \
                 $(call objects,bench/program,$(sort $(wildcard tests/bench/*.c)))
$(eval $(call compile,bench/library,$$(CC) $$(BENCH_CFLAGS)))
$(eval $(call compile,bench/program,$$(CC) $$(BASE) -fno-pie -falign-loops=64 -falign-functions=64))

$(BENCH_PROGRAM): $(BENCH_OBJ) $(BUILD)/files.stamp
	@echo '  LINK    $@'
	$(Q)$(CC) -no-pie $(BENCH_OBJ) -o $@

.PHONY: bench-vmem
bench-vmem: $(BENCH_PROGRAM) ## what the operations of common/vmem cost, against their goals
	@scripts/bench-vmem
test: $(BENCH_PROGRAM)
