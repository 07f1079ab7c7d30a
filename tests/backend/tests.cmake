foreach(noun cpu_level cpu_linear cpu_attention cpu_rows cpu_conv cpu_gradients)
  sphinx_test(backend ${noun} LINK sphinx_cpu)
endforeach()
