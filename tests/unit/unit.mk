# The random test does a million operations: built without sanitizers. What they would find, the
# same operations find in the other tests and under the fuzzer.
PLAIN_CFLAGS := $(BASE) -fno-omit-frame-pointer
PLAIN_SRC    := tests/unit/support/main.c tests/unit/test_vmem_random.c $(filter common/vmem/% common/base/%,$(PURE_SRC))
$(eval $(call compile,plain,$$(CC) $$(PLAIN_CFLAGS)))
$(BUILD)/host/unit/test_vmem_random: $(call objects,plain,$(PLAIN_SRC)) $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(PLAIN_CFLAGS) $(filter %.o,$^) -lcmocka -o $@
