# The kernels of simd/ are compiled once a level, each time with that level's flags and names; everything else in the
# program is built for the compiler's baseline, so that it runs on any processor. cpu.c picks a level at run time.

# Under sanitizers -O1: every load in these unrolled loops is checked, and -O3 takes four times as long to find nothing more.
if(SPHINX_SANITIZE OR SPHINX_FUZZ)
  set(CPU_OPTIMISE -O1)
else()
  set(CPU_OPTIMISE -O3)
endif()

# cpu_file(kernels name width rows flags...): simd/simd_<kernels>.c for a level. width floats in a register, rows in the
# register tile of a matrix product.
function(cpu_file kernels level width rows)
  set(file "${CMAKE_CURRENT_BINARY_DIR}/cpu_${kernels}_${level}.c")
  set(CPU_KERNELS "${kernels}")
  configure_file("${CPU_DIR}/simd/level.c.in" "${file}" @ONLY)
  set_source_files_properties("${file}" PROPERTIES
    COMPILE_DEFINITIONS "SIMD_LEVEL=${level};SIMD_WIDTH=${width};SIMD_ROWS=${rows}"
    COMPILE_OPTIONS "${CPU_OPTIMISE};-ffp-contract=fast;${ARGN}"
    OBJECT_DEPENDS "${CPU_DIR}/simd/simd_${kernels}.c")
  set(cpu "${cpu};${file}" PARENT_SCOPE)
endfunction()

function(cpu_level level width rows)
  foreach(kernels activation attention attention_backward attention_few attention_many conv gemm linear loss norm quant residual rows)
    cpu_file(${kernels} ${level} ${width} ${rows} ${ARGN})
  endforeach()
  set(cpu "${cpu}" PARENT_SCOPE)
endfunction()

set(CPU_DIR "${CMAKE_CURRENT_LIST_DIR}")
cpu_level(portable 4 6)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  cpu_level(avx2 8 6 -mavx2 -mfma -mf16c)
  set(avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c)
  cpu_level(avx512 16 12 ${avx512})
  # Ice Lake and later. There is no level for bf16 dot products: where they were measured, vdpbf16ps does half the
  # operations of float32 multiply-adds.
  cpu_level(avx512vnni 16 12 ${avx512} -mavx512vnni)
  # Sapphire Rapids and later: the level below, but for products of many rows.
  cpu_file(matrix amx 16 12 ${avx512} -mavx512vnni -mavx512bf16 -mamx-tile -mamx-bf16)
endif()
