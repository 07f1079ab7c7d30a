sphinx_test(tensor quant LINK sphinx_tensor)
