# A thin front for CMake and Ninja: `make` alone says what there is.
BUILD ?= build
CMAKE_FLAGS ?=

.PHONY: all build
build all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	cmake -S . -B $(BUILD) -G Ninja $(CMAKE_FLAGS)
