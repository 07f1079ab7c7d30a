sphinx_test(language llama LINK sphinx_language sphinx_cpu)
