sphinx_test(eval log LINK sphinx_eval)
