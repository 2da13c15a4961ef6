# Programs of their own flavours. Random tests do millions of operations: built without sanitizers.
# What those would find, the same operations find in the other tests, under the fuzzer, and in a
# shorter run with them. Tests with threads run at full speed without sanitizers, too, and once more
# under the thread sanitizer.
PLAIN_CFLAGS := $(BASE) -DSLIPWAY_DEBUG -fno-omit-frame-pointer
TSAN_CFLAGS  := $(PLAIN_CFLAGS) -fsanitize=thread
PLAIN_TESTS  := vmem/test_random frames/test_random frames/test_threads kernel/test_heap_random kernel/test_heap_threads
TSAN_TESTS   := frames/test_races kernel/test_heap_races
FLAVOUR_SRC  := tests/unit/support/main.c $(filter common/vmem/% common/base/% common/frames/% kernel/memory/slabs%,$(PURE_SRC))
$(eval $(call compile,plain,$$(CC) $$(PLAIN_CFLAGS)))
$(eval $(call compile,tsan,$$(CC) $$(TSAN_CFLAGS)))

$(PLAIN_TESTS:%=$(BUILD)/host/unit/%): $(BUILD)/host/unit/%: $(BUILD)/plain/tests/unit/%.o \
    $(call objects,plain,$(FLAVOUR_SRC)) $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(PLAIN_CFLAGS) $(filter %.o,$^) -lcmocka -o $@
$(TSAN_TESTS:%=$(BUILD)/host/unit/%): $(BUILD)/host/unit/%: $(BUILD)/tsan/tests/unit/%.o \
    $(call objects,tsan,$(FLAVOUR_SRC)) $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(TSAN_CFLAGS) $(filter %.o,$^) -lcmocka -o $@
