sphinx_test(model golden LINK sphinx_model)
sphinx_test(model session LINK sphinx_model)
sphinx_test(model hostile LINK sphinx_model)
sphinx_test(model load LINK sphinx_model)
