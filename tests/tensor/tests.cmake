sphinx_test(tensor quant LINK sphinx_tensor)
sphinx_test(tensor adapter LINK sphinx_cpu)
sphinx_test(tensor ops LINK sphinx_cpu)
