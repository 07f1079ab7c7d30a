sphinx_test(core arena LINK sphinx_core)
sphinx_test(core digest LINK sphinx_core)
sphinx_test(core folder LINK sphinx_core)
