foreach(noun cpu_level cpu_linear cpu_quant cpu_attention cpu_rows cpu_conv cpu_gradients cpu_backward)
  sphinx_test(backend ${noun} LINK sphinx_cpu)
endforeach()

# A level that this processor lacks is skipped inside each of these tests; here ctest says so.
foreach(level avx2 avx512 avx512vnni amx)
  add_test(NAME backend/level_${level} COMMAND test_cpu_level "*(${level})" WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(backend/level_${level} PROPERTIES
    SKIP_REGULAR_EXPRESSION "does not run here" FAIL_REGULAR_EXPRESSION "Running 0 test")
endforeach()

# The matrix unit's kernel once more, with the unit's operations in plain C, so that it is checked on any processor.
sphinx_test(backend cpu_amx LINK sphinx_cpu)
target_sources(test_cpu_amx PRIVATE ${CMAKE_SOURCE_DIR}/src/backend/cpu/simd/simd_matrix.c)
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/backend/cpu/simd/simd_matrix.c PROPERTIES
  COMPILE_DEFINITIONS "SIMD_LEVEL=emulated;SIMD_WIDTH=4;SIMD_ROWS=6" COMPILE_OPTIONS "-O3;-Wno-psabi")
set_source_files_properties(backend/test_cpu_amx.c PROPERTIES
  COMPILE_DEFINITIONS "SIMD_LEVEL=emulated;SIMD_WIDTH=4;SIMD_ROWS=6" COMPILE_OPTIONS "-Wno-psabi")
