sphinx_test(model golden LINK sphinx_model)
