sphinx_test(eval log LINK sphinx_eval)
sphinx_test(eval runner LINK sphinx_eval)
sphinx_test(eval table LINK sphinx_eval)
sphinx_test(eval report LINK sphinx_eval)
