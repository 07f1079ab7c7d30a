foreach(noun cpu_level cpu_linear cpu_attention)
  sphinx_test(backend ${noun} LINK sphinx_cpu)
endforeach()
