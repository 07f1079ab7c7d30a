sphinx_test(core digest LINK sphinx_core)
