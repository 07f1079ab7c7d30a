# A thin front for CMake and Ninja: `make help` says what there is. Every target first asks scripts/setup for what is
# missing, so that a bare Debian 12 with git and make builds.
BUILD        ?= build
PREFIX       ?= /usr/local
DESTDIR      ?=
CMAKE_FLAGS  ?=
FUZZ_SECONDS ?= 60
JOBS         ?= 3

CONFIGURE = cmake -S . -G Ninja $(CMAKE_FLAGS)
# Tests side by side, some of which wait; threads that wait in a loop would starve the others.
CTEST     = OMP_WAIT_POLICY=passive ctest --parallel $(JOBS) --output-on-failure
SOURCES   = find include src tests bench examples -name '*.[ch]' -o -name '*.cc'

.PHONY: build help setup demo serve test sanitize fuzz valgrind bench format format-check install uninstall reference clean

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@echo "built $(BUILD)/sphinx; next: make demo, make test, make help"

help:
	@echo "make              build $(BUILD)/sphinx and libsphinx"
	@echo "make demo         ask the bundled model about a bundled picture"
	@echo "make serve        the web demo with the bundled model, at http://127.0.0.1:8080"
	@echo "make test         every test, in $(BUILD)"
	@echo "make sanitize     the same tests with AddressSanitizer and UBSan, in build-asan"
	@echo "make fuzz         each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS) (needs clang), in build-fuzz"
	@echo "make valgrind     the tests under valgrind: no error, no leak"
	@echo "make bench        time the kernels against what the machine can do"
	@echo "make format       clang-format on every source file; make format-check only looks"
	@echo "make install      to PREFIX=$(PREFIX), below DESTDIR if set; make uninstall takes it away"
	@echo "make reference    write the PyTorch goldens of tests/data anew (needs python3 and its packages)"
	@echo "make clean        remove every build folder"

setup:
	@scripts/setup

$(BUILD)/build.ninja: | setup
	@$(CONFIGURE) -B $(BUILD)

# ---- using it ---------------------------------------------------------------------------------------------------
demo: build
	@scripts/demo $(BUILD)

serve: build
	@$(BUILD)/sphinx serve

install: build
	@$(CONFIGURE) -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(PREFIX) --log-level=NOTICE
	@ninja -C $(BUILD)
	DESTDIR=$(DESTDIR) cmake --install $(BUILD)

uninstall:
	@sed 's|^|$(DESTDIR)|' $(BUILD)/install_manifest.txt | xargs -d '\n' rm -fv

# ---- checking it ------------------------------------------------------------------------------------------------
test: build
	@$(CTEST) --test-dir $(BUILD)

sanitize: setup
	@$(CONFIGURE) -B build-asan -DSPHINX_SANITIZE=address,undefined --log-level=NOTICE
	@ninja -C build-asan
	@$(CTEST) --test-dir build-asan

fuzz:
	@scripts/setup --ci
	@scripts/fuzz build-fuzz $(FUZZ_SECONDS)

valgrind:
	@scripts/setup --ci
	@$(MAKE) --no-print-directory build
	@scripts/valgrind $(BUILD)

bench: build
	@ninja -C $(BUILD) bench_ops
	@$(BUILD)/bench/bench_ops

format:
	@$(SOURCES) | xargs clang-format -i

format-check:
	@$(SOURCES) | xargs clang-format --dry-run --Werror

reference:
	@tools/reference/make.sh

clean:
	rm -rf $(BUILD) build-asan build-fuzz build-clang
