# The modules above the frame allocator in other builds: with FRAMES_TRACKING, which changes what
# callers compile, and without assertions, which must change nothing.
FRAMES_SRC    := $(filter common/frames/%,$(PURE_SRC))
TRACKING_BIN  := $(addprefix $(BUILD)/host/unit/frames/,test_track test_track_calls)
NDEBUG_BIN    := $(BUILD)/host/unit/frames/test_owners_ndebug
NDEBUG_SRC    := $(wildcard tests/unit/frames/test_owners*.c)
$(eval $(call compile,tracking,$$(CC) $$(HOST_CFLAGS) -DFRAMES_TRACKING))
$(eval $(call compile,ndebug,$$(CC) $$(HOST_CFLAGS) -USLIPWAY_DEBUG -DNDEBUG))
$(TRACKING_BIN): $(BUILD)/host/unit/%: $(BUILD)/tracking/tests/unit/%.o $(call objects,tracking,$(FRAMES_SRC))
$(NDEBUG_BIN): $(call objects,ndebug,$(NDEBUG_SRC) $(FRAMES_SRC))
$(TRACKING_BIN) $(NDEBUG_BIN): $(SUPPORT) $(BUILD)/host/libpure.a $(BUILD)/files.stamp
	@mkdir -p $(@D); echo '  LINK    $@'
	$(Q)$(CC) $(HOST_CFLAGS) $(filter %.o %.a,$^) -lcmocka -o $@
