sphinx_test(vision gradients LINK sphinx_vision sphinx_cpu)
